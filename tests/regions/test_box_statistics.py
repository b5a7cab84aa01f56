"""Sizes, shapes and anchors against hand-made cases and brute force, and the sentences on them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou as reference_iou

from blemish.regions.box_statistics import anchor_shapes, best_anchor, gaps

ANCHORS = {"anchor_sizes": (16, 32, 64), "aspect_ratios": (0.5, 1.0, 2.0)}


def boxes(*sides: tuple[float, float]) -> np.ndarray:
    """Boxes (width, height) at odd places."""
    return np.array([(3 * i, 2 * i, 3 * i + w, 2 * i + h) for i, (w, h) in enumerate(sides)], np.float32)


def test_size_and_aspect_quantiles_by_hand() -> None:
    shape = gaps({"dent": boxes((4, 16), (10, 10), (36, 16))}, {}, **ANCHORS)["classes"]["dent"]
    assert shape["boxes"] == 3
    assert shape["size"]["0.5"] == 10 and shape["aspect"]["0.5"] == 1
    assert shape["size"]["0.05"] == pytest.approx(8.2) and shape["size"]["0.95"] == pytest.approx(22.6)


@pytest.mark.parametrize(
    ("side", "words"),
    [
        (
            (5, 5),
            "100% of 2 'fray' are smaller than usual: median 5 px, common ones lie between 30 and 34 px",
        ),
        ((60, 60), "100% of 2 'fray' are larger than usual"),
        ((90, 10), "100% of 2 'fray' are flatter than usual"),
        ((10, 90), "100% of 2 'fray' are taller than usual: median height / width 9"),
    ],
)
def test_rare_boxes_outside_the_common_range_are_named(side: tuple[float, float], words: str) -> None:
    common = {"dent": boxes(*((30 + i % 5, 30 + i % 5) for i in range(50)))}
    sentences = gaps(common, {"fray": boxes(side, side)}, **ANCHORS)["sentences"]
    assert sum(words in sentence for sentence in sentences) == 1


def test_alike_boxes_give_one_calm_sentence() -> None:
    alike = boxes(*((30 + i % 5, 30) for i in range(50)))
    assert gaps({"dent": alike}, {"fray": alike}, **ANCHORS)["sentences"] == [
        "The rare boxes have the sizes and aspect ratios of the common ones, and anchors fit them."
    ]


def test_boxes_that_fit_no_anchor_are_named_whichever_class_they_are_of() -> None:
    result = gaps({"dent": boxes((32, 32))}, {"fray": boxes((6, 6), (31, 33))}, **ANCHORS)
    assert result["classes"]["fray"]["off_anchors"] == 0.5 and result["classes"]["dent"]["off_anchors"] == 0
    assert any("50% of 'fray' fit no anchor" in sentence for sentence in result["sentences"])


def test_best_anchor_agrees_with_torchvision_on_centred_boxes() -> None:
    sides = np.random.default_rng(0).uniform(3, 120, (40, 2)).astype(np.float32)
    shapes = anchor_shapes(*ANCHORS.values())
    centred = [torch.tensor(np.concatenate([-each / 2, each / 2], 1)) for each in (sides, shapes)]
    expected = reference_iou(centred[0].double(), centred[1]).max(dim=1).values.numpy()
    np.testing.assert_allclose(best_anchor(boxes(*sides), shapes), expected, atol=1e-5)
    np.testing.assert_allclose(shapes.prod(axis=1) ** 0.5, np.repeat((16, 32, 64), 3))
    np.testing.assert_allclose(shapes[:, 1] / shapes[:, 0], np.tile((0.5, 1, 2), 3))


def test_a_rare_class_without_boxes_and_no_common_ones_pass() -> None:
    result = gaps({}, {"fray": boxes()}, **ANCHORS)
    assert result["classes"]["fray"] == {"boxes": 0, "size": None, "aspect": None, "off_anchors": None}
    json.dumps(gaps({}, {"fray": boxes((5, 5))}, **ANCHORS), allow_nan=False)
