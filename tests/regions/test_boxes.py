"""Box arithmetic against torchvision's, a hand-computed case, and its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torchvision import ops

from blemish.regions.boxes import (
    box_area,
    box_coverage,
    box_iou,
    class_wise_nms,
    clip_boxes,
    nms,
    shared_area,
    shared_boxes,
)

Boxes = NDArray[np.float32]


def random_boxes(count: int, seed: int, *, side: float = 40) -> Boxes:
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 30, (count, 2))
    return np.concatenate([corner, corner + generator.uniform(1, side, (count, 2))], axis=1).astype(
        np.float32
    )


def scores_of(count: int, seed: int) -> Boxes:
    """Few distinct values, so that there are ties."""
    return np.random.default_rng(seed).integers(1, 12, count).astype(np.float32) / 12


def test_areas_and_overlaps_by_hand() -> None:
    first = np.array([[0, 0, 4, 2], [10, 10, 11, 11]], np.float32)
    second = np.array([[2, 0, 6, 2], [0, 0, 4, 4], [4, 0, 8, 2]], np.float32)
    assert box_area(first).tolist() == [8, 1]
    assert shared_area(first, second).tolist() == [[4, 8, 0], [0, 0, 0]]
    assert box_iou(first, second)[0].tolist() == pytest.approx([4 / 12, 0.5, 0])
    assert box_coverage(first, second)[0].tolist() == [0.5, 1, 0]
    assert shared_boxes(first[0], second[0]).tolist() == [2, 0, 4, 2]


def test_iou_is_torchvisions() -> None:
    first, second = random_boxes(50, 0), random_boxes(70, 1)
    expected = ops.box_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(box_iou(first, second), expected, atol=1e-6)


def test_boxes_turned_inside_out_and_empty_ones_share_nothing() -> None:
    odd = np.array([[5, 5, 2, 2], [3, 3, 3, 9], [0, 0, 0, 0]], np.float32)
    assert box_area(odd).tolist() == [0, 0, 0]
    assert not box_iou(odd, np.concatenate([odd, [[0, 0, 9, 9]]]).astype(np.float32)).any()
    assert not box_coverage(odd, odd).any()


def test_clipping_keeps_what_lies_in_the_image() -> None:
    boxes = np.array([[-3, 2, 5, 50], [30, 30, 40, 40]], np.float32)
    clipped = clip_boxes(boxes, (20, 25))
    assert clipped[0].tolist() == [0, 2, 5, 20]
    assert box_area(clipped)[1] == 0
    assert boxes[0, 0] == -3, "the argument is left as it was"
    assert clipped.dtype == np.float32


@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_torchvisions(seed: int, iou: float) -> None:
    boxes, scores = random_boxes(120, seed), np.random.default_rng(seed).permutation(120).astype(np.float32)
    expected = ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), iou).numpy()
    assert 5 < len(expected) < 120
    np.testing.assert_array_equal(nms(boxes, scores, iou=iou), expected)
    np.testing.assert_array_equal(nms(boxes, scores, iou=iou, max_kept=3), expected[:3])


@pytest.mark.parametrize("seed", range(5))
def test_class_wise_suppression_is_torchvisions(seed: int) -> None:
    boxes, labels = random_boxes(120, seed), np.random.default_rng(seed).integers(0, 4, 120)
    scores = np.random.default_rng(seed + 9).permutation(120).astype(np.float32)
    tensors = [torch.from_numpy(values) for values in (boxes, scores, labels)]
    expected = ops.batched_nms(*tensors, 0.4).numpy()
    np.testing.assert_array_equal(class_wise_nms(boxes, scores, labels, iou=0.4), expected)
    np.testing.assert_array_equal(class_wise_nms(boxes, scores, labels, iou=0.4, max_kept=7), expected[:7])


def test_of_equal_scores_the_first_stays() -> None:
    boxes = np.array([[0, 0, 9, 9]] * 4, np.float32)
    assert nms(boxes, np.array([0.5, 0.7, 0.7, 0.5]), iou=0.5).tolist() == [1]
    for seed in range(20):
        scores = scores_of(400, seed)
        assert nms(np.tile(boxes, (100, 1)), scores, iou=0.5).tolist() == [scores.argmax()]
    far = boxes + np.arange(4, dtype=np.float32)[:, None] * 20
    assert class_wise_nms(far, np.array([0.5, 0.7, 0.7, 0.5]), np.array([1, 1, 0, 0]), iou=0.5).tolist() == [
        1,
        2,
        0,
        3,
    ]


def test_just_the_threshold_is_not_suppressed() -> None:
    boxes = np.array([[0, 0, 4, 2], [0, 0, 4, 4]], np.float32)
    assert nms(boxes, np.array([0.9, 0.8]), iou=0.5).tolist() == [0, 1]
    assert nms(boxes, np.array([0.9, 0.8]), iou=0.49).tolist() == [0]


def test_no_box_is_no_special_case() -> None:
    none = np.empty((0, 4), np.float32)
    assert nms(none, none[:, 0], iou=0.5).shape == (0,)
    assert class_wise_nms(none, none[:, 0], np.empty(0, np.intp), iou=0.5).shape == (0,)
    assert box_iou(none, random_boxes(3, 0)).shape == (0, 3)


@given(
    corners=arrays(np.float32, (9, 2), elements=st.integers(0, 12)),
    sides=arrays(np.float32, (9, 2), elements=st.integers(0, 9)),
    scores=arrays(np.float32, 9, elements=st.sampled_from([0.25, 0.5, 0.75])),
)
def test_what_stays_does_not_overlap_and_what_goes_overlaps_a_better_one(
    corners: Boxes, sides: Boxes, scores: Boxes
) -> None:
    boxes = np.concatenate([corners, corners + sides], axis=1)
    remaining = nms(boxes, scores, iou=0.4)
    overlaps = box_iou(boxes, boxes) > 0.4
    assert (overlaps[np.ix_(remaining, remaining)] <= np.eye(len(remaining), dtype=bool)).all()
    assert (np.diff(scores[remaining]) <= 0).all()
    for gone in set(range(9)) - set(remaining.tolist()):
        assert any(overlaps[gone, each] and scores[each] >= scores[gone] for each in remaining)
