"""Boxes as arrays: area, clipping, overlap, and non-maximum suppression, without torch.

Boxes are xyxy float pixels, half-open. Letters: N, M boxes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Boxes, Floats

NMS_BLOCK = 64  # boxes whose overlaps with all others are computed at once: far quicker than one by one


def box_area(boxes: Boxes) -> Floats:
    """Areas of boxes [N, 4] in square pixels, [N]; 0 where a box is turned inside out."""
    return np.prod(np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None), axis=1)


def clip_boxes(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Boxes [N, 4] cut to an image of size (height, width); a box outside becomes empty."""
    height, width = size
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def shared_boxes(first: Boxes, second: Boxes) -> Boxes:
    """Intersections of boxes [..., 4], as boxes; turned inside out where they do not overlap."""
    low = np.maximum(first[..., :2], second[..., :2])
    return np.concatenate([low, np.minimum(first[..., 2:], second[..., 2:])], axis=-1)


def box_iou(first: Boxes, second: Boxes) -> Floats:
    """Intersection over union of each box of [N, 4] with each of [M, 4], [N, M]; 0 where both are empty."""
    shared = shared_area(first, second)
    either = box_area(first)[:, None] + box_area(second)[None] - shared
    return shared / np.where(either > 0, either, 1)


def box_coverage(first: Boxes, second: Boxes) -> Floats:
    """Intersection over the smaller of each box of [N, 4] with each of [M, 4], [N, M]; 0 for an empty box."""
    smaller = np.minimum(box_area(first)[:, None], box_area(second)[None])
    return shared_area(first, second) / np.where(smaller > 0, smaller, 1)


def shared_area(first: Boxes, second: Boxes) -> Floats:
    """Square pixels that each box of [N, 4] shares with each of [M, 4], [N, M]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    sides = np.clip(np.minimum(first[:, None, 2:], second[None, :, 2:]) - low, 0, None)
    return sides[..., 0] * sides[..., 1]


def nms(boxes: Boxes, scores: Floats, *, iou: float, max_kept: int | None = None) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: a box is dropped when it overlaps a better kept one by more than `iou`.

    boxes: [N, 4]; scores: [N]; of equal scores the first comes first
    max_kept: number of kept boxes at which to stop; None: all
    returns: indices of the kept boxes by falling score
    """
    waiting = np.argsort(-scores, kind="stable")
    kept = np.empty(0, np.intp)
    while waiting.size and (max_kept is None or len(kept) < max_kept):
        block, waiting = waiting[:NMS_BLOCK], waiting[NMS_BLOCK:]
        best = block[survivors(box_iou(boxes[block], boxes[block]) <= iou)]
        waiting = waiting[(box_iou(boxes[best], boxes[waiting]) <= iou).all(axis=0)]
        kept = np.concatenate([kept, best])
    return kept[:max_kept]


def survivors(agree: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask [N] of the boxes that stay: those that may stand beside every earlier one that stays.

    agree: [N, N]
    """
    alive = np.ones(len(agree), np.bool_)
    for number, row in enumerate(agree):
        if alive[number]:
            alive[number + 1 :] &= row[number + 1 :]
    return alive


def class_wise_nms(
    boxes: Boxes, scores: Floats, labels: NDArray[np.integer[Any]], *, iou: float, max_kept: int | None = None
) -> NDArray[np.intp]:
    """Non-maximum suppression among the boxes of each label [N], see `nms`.

    returns: indices of the `max_kept` best boxes by falling score
    """
    kept = [np.empty(0, np.intp)]
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        kept.append(own[nms(boxes[own], scores[own], iou=iou, max_kept=max_kept)])
    indices = np.sort(np.concatenate(kept))
    return indices[np.argsort(-scores[indices], kind="stable")][:max_kept]
