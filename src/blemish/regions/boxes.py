"""Boxes as arrays: area, clipping, overlap, and non-maximum suppression, without torch.

Boxes are xyxy float pixels, half-open. Letters: N, M boxes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

NMS_BLOCK = 64  # boxes whose overlaps with all others are looked at together: far quicker than one by one


def box_area(boxes: Floats) -> Floats:
    """Areas of boxes [N, 4] in square pixels, [N]; 0 where a box is turned inside out."""
    return np.prod(np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None), axis=1)


def clip_boxes(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Boxes [N, 4] cut to an image of size (height, width); one outside becomes empty."""
    height, width = size
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def shared_boxes(one: Floats, other: Floats) -> Floats:
    """Where boxes [..., 4] overlap, as boxes; turned inside out where they do not."""
    low = np.maximum(one[..., :2], other[..., :2])
    return np.concatenate([low, np.minimum(one[..., 2:], other[..., 2:])], axis=-1)


def box_iou(one: Floats, other: Floats) -> Floats:
    """Intersection over union of each box of [N, 4] with each of [M, 4], [N, M]; 0 where both are empty."""
    shared = shared_area(one, other)
    either = box_area(one)[:, None] + box_area(other)[None] - shared
    return shared / np.where(either > 0, either, 1)


def box_coverage(one: Floats, other: Floats) -> Floats:
    """Intersection over the smaller of each box of [N, 4] with each of [M, 4], [N, M]; 0 for an empty one."""
    smaller = np.minimum(box_area(one)[:, None], box_area(other)[None])
    return shared_area(one, other) / np.where(smaller > 0, smaller, 1)


def shared_area(one: Floats, other: Floats) -> Floats:
    """Square pixels that each box of [N, 4] shares with each of [M, 4], [N, M]."""
    return shared_side(one, other, 0) * shared_side(one, other, 1)


def shared_side(one: Floats, other: Floats, axis: int) -> Floats:
    """Pixels along x (0) or y (1) that each box of [N, 4] shares with each of [M, 4], [N, M]."""
    low = np.maximum(one[:, None, axis], other[None, :, axis])
    return np.clip(np.minimum(one[:, None, axis + 2], other[None, :, axis + 2]) - low, 0, None)


def nms(boxes: Floats, scores: Floats, *, iou: float, most: int | None = None) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: a box goes when it overlaps a better kept one by more than `iou`.

    boxes: [N, 4]; scores: [N]; of equal scores the first comes first
    most: of the kept boxes, to stop there; None: all
    returns: indices of the kept boxes by falling score
    """
    waiting = np.argsort(-scores, kind="stable")
    kept = np.empty(0, np.intp)
    while waiting.size and (most is None or len(kept) < most):
        block, waiting = waiting[:NMS_BLOCK], waiting[NMS_BLOCK:]
        best = block[survivors(box_iou(boxes[block], boxes[block]) <= iou)]
        waiting = waiting[(box_iou(boxes[best], boxes[waiting]) <= iou).all(axis=0)]
        kept = np.concatenate([kept, best])
    return kept[:most]


def survivors(agree: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of a few boxes stay, [N]: those that agree with every one before that stays. agree: [N, N]"""
    alive = np.ones(len(agree), np.bool_)
    for number, row in enumerate(agree):
        if alive[number]:
            alive[number + 1 :] &= row[number + 1 :]
    return alive


def class_wise_nms(
    boxes: Floats, scores: Floats, labels: NDArray[np.integer[Any]], *, iou: float, most: int | None = None
) -> NDArray[np.intp]:
    """`nms` among the boxes of each label [N]; indices of the `most` best kept boxes by falling score."""
    kept = [np.empty(0, np.intp)]
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        kept.append(own[nms(boxes[own], scores[own], iou=iou, most=most)])
    indices = np.sort(np.concatenate(kept))
    return indices[np.argsort(-scores[indices], kind="stable")][:most]
