"""Naming outlined regions by the boxes with names that they meet.

A box and a region are the same defect where they overlap as much as evaluation asks of a found and a true
one; and a region that lies in a box is a piece of what is boxed, such as one of three pieces of a crack. A
small box in a large region is neither: a pit in a scratch does not make the scratch a pit.
Boxes are those of the defects, outlines included. Letters: N regions, M boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.regions.boxes import box_area, box_iou, shared_area

SAME_IOU = 0.3  # from which a region and a box are one defect, as in evaluation
PIECE_SHARE = 0.5  # of a region's box that lies in a named box, from which the region is a piece of it


def naming(regions: Sequence[Defect], boxes: Sequence[Defect]) -> tuple[int | None, ...]:
    """For each of N regions the index of the box that names it; None for a region without a name.

    First one to one, by falling confidence of the boxes: each names the region without a name that it shares
    the greatest IoU with, from `SAME_IOU` on. Then a region still without a name takes the surest box that it
    lies in, by `PIECE_SHARE`, so that one box may name several regions.
    """
    names: list[int | None] = [None] * len(regions)
    if not regions or not boxes:
        return tuple(names)
    region_boxes, named_boxes = corners(regions), corners(boxes)
    ious = box_iou(region_boxes, named_boxes)
    inside = shared_area(region_boxes, named_boxes) / np.maximum(box_area(region_boxes), 1e-9)[:, None]
    by_confidence = sorted(range(len(boxes)), key=lambda box: -boxes[box].confidence)
    for box in by_confidence:
        waiting = [region for region, name in enumerate(names) if name is None]
        nearest = max(waiting, key=lambda region: ious[region, box], default=None)
        if nearest is not None and ious[nearest, box] >= SAME_IOU:
            names[nearest] = box
    for region, name in enumerate(names):
        if name is None:
            names[region] = next((box for box in by_confidence if inside[region, box] >= PIECE_SHARE), None)
    return tuple(names)


def corners(defects: Sequence[Defect]) -> NDArray[np.float64]:
    """[N, 4] xyxy."""
    return np.array([defect.box_xyxy for defect in defects], np.float64)
