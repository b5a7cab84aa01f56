"""Matching of true and found defects one to one, and of the rest with regions that are ignored.

Found defects in order of falling confidence (then falling best IoU) each take the free true defect they
overlap most, if the IoU is at least the threshold. One left over that matches an ignored region, a crowd or a
difficult defect, is neither right nor wrong.
Source: pycocotools, `evaluateImg`. Shape letters: N true defects, M found defects, I ignored regions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.dataset.masks import Instance
from blemish.evaluation.records import IgnoredRegion
from blemish.regions.boxes import box_area, box_iou, shared_area


def iou_matrix(
    truth: Sequence[Instance], found_boxes: Sequence[Box], found_map: NDArray[np.int32] | None
) -> NDArray[np.float32]:
    """IoU of every true with every found defect: on pixels where both have them, else on boxes.

    found_map: [H, W], 0 on the surface and i + 1 on found defect i; None where the method gives boxes only
    returns: [N, M] float32 in [0, 1]
    """
    ious = box_ious([instance.box_xyxy for instance in truth], found_boxes)
    if found_map is None or not len(found_boxes):
        return ious
    found_areas = np.bincount(found_map.ravel(), minlength=len(found_boxes) + 1)[1:]
    for row, instance in enumerate(truth):
        if instance.mask is not None:
            shared = pixels_shared(instance, found_map, len(found_areas))
            ious[row] = shared / np.maximum(found_areas + np.count_nonzero(instance.mask) - shared, 1)
    return ious


def box_ious(truth: Sequence[Box], found: Sequence[Box]) -> NDArray[np.float32]:
    """IoU of half-open xyxy boxes. returns: [N, M] float32, 0 where both boxes are empty"""
    first, second = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (truth, found))
    return box_iou(first, second).astype(np.float32)


def ignored_overlaps(
    ignored: Sequence[Instance],
    crowd: Sequence[bool],
    found_boxes: Sequence[Box],
    found_map: NDArray[np.int32] | None,
) -> NDArray[np.float32]:
    """Overlap [I, M] of ignored regions with found defects, see `ImageRecord.ignored_overlap`.

    crowd: which of the regions are crowds; found_map: as of `iou_matrix`
    """
    ious = iou_matrix(ignored, found_boxes, found_map)
    shares = box_shares([instance.box_xyxy for instance in ignored], found_boxes)
    if found_map is not None and len(found_boxes):
        areas = np.maximum(np.bincount(found_map.ravel(), minlength=len(found_boxes) + 1)[1:], 1)
        for row, instance in enumerate(ignored):
            if instance.mask is not None:
                shares[row] = pixels_shared(instance, found_map, len(found_boxes)) / areas
    return np.where(np.array(crowd, np.bool_).reshape(-1, 1), shares, ious).astype(np.float32)


def region_overlaps(regions: Sequence[IgnoredRegion], found_boxes: Sequence[Box]) -> NDArray[np.float32]:
    """Overlap [I, M] of ignored regions with found boxes, by their boxes alone."""
    instances = [Instance(region.label, region.box_xyxy) for region in regions]
    return ignored_overlaps(instances, [region.crowd for region in regions], found_boxes, None)


def pixels_shared(instance: Instance, found_map: NDArray[np.int32], found: int) -> NDArray[np.intp]:
    """Pixels [M] that a region shares with each of the found defects."""
    left, top, right, bottom = (int(edge) for edge in instance.box_xyxy)
    under = found_map[top:bottom, left:right][instance.mask]
    return np.bincount(under, minlength=found + 1)[1:]


def box_shares(regions: Sequence[Box], found: Sequence[Box]) -> NDArray[np.float32]:
    """Share of each found box that lies in each region, [I, M]; 0 of an empty box."""
    outer, inner = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (regions, found))
    areas = box_area(inner)
    return (shared_area(outer, inner) / np.where(areas > 0, areas, np.inf)).astype(np.float32)


def match(
    iou: NDArray[np.float32],
    confidences: Sequence[float],
    *,
    threshold: float,
    allowed: NDArray[np.bool_] | None = None,
) -> list[tuple[int, int]]:
    """Match true and found defects one to one, in the order of this file's header, to pairs (true, found).

    iou: [N, M]; confidences: [M]; threshold: smallest IoU of a match
    allowed: mask [N, M] of pairs that may match, as those of equal labels; None: all
    """
    usable = (iou >= threshold) & (iou > 0)
    overlap = np.where(usable if allowed is None else usable & allowed, iou, -1)
    pairs = []
    for column in order_of(iou, confidences):
        row = int(overlap[:, column].argmax()) if len(overlap) else 0
        if len(overlap) and overlap[row, column] > 0:
            pairs.append((row, int(column)))
            overlap[row] = -1
    return pairs


def order_of(overlap: NDArray[np.float32], confidences: Sequence[float]) -> NDArray[np.intp]:
    """Columns by falling confidence, then falling best overlap. overlap: [N, M]; confidences: [M]"""
    return np.lexsort((-overlap.max(axis=0, initial=0.0), -np.asarray(confidences, dtype=np.float64)))


def match_ignored(
    overlap: NDArray[np.float32],
    crowd: Sequence[bool],
    confidences: Sequence[float],
    *,
    threshold: float,
    matched: Collection[int],
    allowed: NDArray[np.bool_] | None = None,
) -> frozenset[int]:
    """Found defects that match an ignored region and no true defect: they are neither right nor wrong.

    A crowd region takes any number of them, a difficult one a single one. Source: pycocotools, `evaluateImg`.
    overlap: [I, M], see `ImageRecord`; crowd: [I]; matched: the found defects that match a true one
    allowed: mask [I, M] of pairs that may match; None: all
    """
    usable = (overlap >= threshold) & (overlap > 0)
    usable &= True if allowed is None else allowed
    taken, free = set(), np.ones(len(overlap), np.bool_)
    for column in order_of(overlap, confidences) if len(overlap) else ():
        rows = usable[:, column] & free
        if rows.any() and int(column) not in matched:
            taken.add(int(column))
            best = int(np.where(rows, overlap[:, column], -1).argmax())
            free[best] = crowd[best]
    return frozenset(taken)
