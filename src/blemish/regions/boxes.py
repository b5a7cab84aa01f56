"""Boxes as arrays: area, clipping, overlap, and non-maximum suppression, without torch.

Boxes are xyxy float pixels, half-open. Letters: N, M boxes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


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
    shared = shared_boxes(one[:, None], other[None])
    return np.prod(np.clip(shared[..., 2:] - shared[..., :2], 0, None), axis=-1)


def nms(boxes: Floats, scores: Floats, *, iou: float, most: int | None = None) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: a box goes when it overlaps a better kept one by more than `iou`.

    boxes: [N, 4]; scores: [N]; of equal scores the first comes first
    most: of the kept boxes, to stop there; None: all
    returns: indices of the kept boxes by falling score
    """
    waiting = np.argsort(-scores, kind="stable")
    kept: list[np.intp] = []
    while waiting.size and (most is None or len(kept) < most):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        waiting = waiting[box_iou(boxes[best][None], boxes[waiting])[0] <= iou]
    return np.array(kept, np.intp)


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
