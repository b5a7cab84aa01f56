"""Distances that are usual at a place, and the frame that keeps a network's zeros away from the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from blemish.methods.memory.network import FeatureNetwork
from blemish.methods.memory.scale import unusual
from blemish.methods.memory.settings import MemorySettings
from blemish.methods.memory.training.usual import GoodDistances


def good_maps(count: int) -> list[np.ndarray]:
    """Distances of 12×16 places about 1 ± 0.1, in the left half about 5 ± 0.5."""
    generator = np.random.default_rng(0)
    level = np.where(np.arange(16) < 8, 5.0, 1.0)[None]
    return [(level * generator.normal(1, 0.1, (12, 16))).astype(np.float32) for _ in range(count)]


def test_what_is_usual_is_told_place_by_place() -> None:
    usual = GoodDistances(good_maps(400), by_place=True).usual().reshape(2, 12, 16)
    for columns, level in ((slice(0, 4), 5.0), (slice(12, 16), 1.0)):
        assert usual[0][:, columns] == pytest.approx(level, abs=0.06)
    # Far from the step the deviation is 0.5 and 0.1, but for the prior's share of that of all places.
    assert usual[1][:, :4] == pytest.approx(0.55, abs=0.05) and usual[1][:, 12:].max() < 0.28
    here = unusual(np.full(192, 5.0, np.float32), usual.reshape(2, -1)).reshape(12, 16)
    assert np.abs(here[:, :4]).max() < 0.5 and here[:, 12:].min() > 10


def test_an_image_is_left_out_of_what_is_usual_for_it() -> None:
    maps = good_maps(6)
    left_out = GoodDistances(maps, by_place=True).usual(without=2)
    np.testing.assert_array_equal(left_out, GoodDistances(maps[:2] + maps[3:], by_place=True).usual())


def test_images_of_any_size_have_one_usual_distance() -> None:
    maps = [np.ones((2, 3), np.float32), np.full((4, 3), 4, np.float32)]
    # Of 6 ones and 12 fours: mean 3, variance (6·4 + 12·1) / 18 = 2.
    found = GoodDistances(maps, by_place=False).usual()
    np.testing.assert_allclose(found, [[3], [2**0.5]], rtol=1e-6)


def test_edges_of_an_even_surface_have_nearly_the_features_of_its_middle() -> None:
    """The network's zeros reach past the frame, but a twentieth of what they do without it is left."""
    settings = MemorySettings(backbone="efficientnet-lite0", backbone_weights="none", backbone_level="layer2")
    torch.manual_seed(0)
    network = FeatureNetwork(settings)
    images = torch.full((1, 3, 128, 160), 0.7)
    with torch.inference_mode():
        framed = network.unprojected(images)
        bare = network.scale(images)
        for stage in network.stages.values():
            bare = stage(bare)
        bare = functional.avg_pool2d(bare, 3, 1, 1)
    assert framed.shape == bare.shape and framed.shape[2:] == (16, 20)
    from_middle = [(each - each[:, :, 8:9, 10:11]).abs() for each in (framed, bare)]
    assert from_middle[0].max() < 0.1 * from_middle[1].max()
    assert from_middle[0][:, :, 3:-3, 3:-3].max() < 1e-5
