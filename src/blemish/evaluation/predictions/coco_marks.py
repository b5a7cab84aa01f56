"""Marks of COCO results: label, box, outline and score of each, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blemish.dataset.layouts.coco_marks import read_box, read_segmentation
from blemish.dataset.samples import Annotation, MaskFile, Polygon, RunLengths
from blemish.errors import BlemishError
from blemish.evaluation.predictions.coco_ids import CocoResult
from blemish.evaluation.predictions.contract import in_unit, is_number, is_number_list


@dataclass(frozen=True)
class ScoredMark:
    """A result that was read. place: label, box and outline as an annotation; score: in [0, 1]"""

    place: Annotation
    score: float


def read_mark(entry: CocoResult, label: str, place: str) -> ScoredMark:
    """Mark of a result. Raises BlemishError for a wrong score, and without a whole box or segmentation."""
    score = in_unit(entry.get("score"), place)
    if entry.get("bbox") and not is_number_list(entry["bbox"], 4):
        raise BlemishError(
            f"{place} must have a whole bbox of four numbers, [x, y, width, height]. Received: "
            f"{entry['bbox']}. Write the file again."
        )
    try:
        box = read_box(entry.get("bbox"))
        polygons, mask = read_segmentation(entry.get("segmentation"))
        fault = fault_of(polygons, mask)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError, AttributeError) as error:
        fault = str(error)
    if fault:
        raise BlemishError(
            f"{place} must have a whole bbox or segmentation. Received: {fault}. Write the file again."
        )
    mark = ScoredMark(Annotation(label, box, polygons, mask), score)
    corners = (0.0,) * 4 if box is None else box
    if not (mark.place.has_place and corners[0] <= corners[2] and corners[1] <= corners[3]):
        raise BlemishError(
            f"{place} must have a bbox [x, y, width, height] or a segmentation. "
            f"Received: {entry.get('bbox')}. Write the file again."
        )
    return mark


def fault_of(polygons: Sequence[Polygon], mask: MaskFile | RunLengths | None) -> str:
    """Fault of an outline; "" where its numbers can be drawn."""
    if not all(is_number(value) for polygon in polygons for corner in polygon for value in corner):
        return "a polygon with NaN, infinity or a huge number"
    if isinstance(mask, RunLengths):
        height, width = mask.size
        if height < 0 or width < 0 or min(mask.counts, default=0) < 0 or sum(mask.counts) != height * width:
            return f"run lengths that do not fill {width}×{height} pixels"
    return ""
