"""Anchors and moved boxes against torchvision's, and maps' names and strides against the extractor's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator

from blemish.methods.tlsdd.network.extractor import new_extractor
from blemish.methods.tlsdd.runtime.anchors import cell_anchors, map_names, map_strides, moved_boxes
from tests.methods.tlsdd.conftest import tiny


@pytest.mark.parametrize(
    "changes",
    [
        {"deepest": "layer3"},
        {"deepest": "layer4"},
        {"feature_fusion": False, "single_map": "layer3"},
        {"feature_fusion": False, "single_map": "layer4", "deepest": "layer4"},
    ],
)
def test_maps_are_known_without_building_the_extractor(changes):
    settings = tiny(**changes)
    extractor, _ = new_extractor(settings)
    assert map_names(settings) == extractor.names
    assert map_strides(settings) == extractor.strides


def test_anchors_of_a_cell_are_torchvisions():
    sizes, ratios = (16, 33, 256), (0.125, 0.5, 1.0, 3.0)
    expected = AnchorGenerator.generate_anchors(AnchorGenerator(), sizes, ratios)
    np.testing.assert_array_equal(cell_anchors(sizes, ratios), expected.numpy())


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_moved_boxes_are_torchvisions_for_wild_outputs_too(weights):
    generator = np.random.default_rng(0)
    corners = generator.uniform(-50, 500, (200, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(0, 300, (200, 2))], 1).astype(np.float32)
    deltas = generator.normal(0, 8, (200, 4)).astype(np.float32)
    expected = BoxCoder(weights).decode_single(torch.from_numpy(deltas), torch.from_numpy(boxes)).numpy()
    assert (deltas[:, 2:] / weights[2] > np.log(1000 / 16)).any() or weights[2] > 1, "some beyond the largest"
    np.testing.assert_allclose(moved_boxes(boxes, deltas, weights), expected, rtol=1e-5, atol=1e-3)
