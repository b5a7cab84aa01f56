"""Detection metrics for datasets that mark defects by boxes: AP50 per class, mAP50 and mAP50:95.

Source: the COCO definition (101 recall points), computed by faster-coco-eval. No detection is left out:
COCO's limit of 100 an image and class is raised to the largest number that any image has. Crowd and difficult
regions are ignored: a detection in them is neither right nor wrong.
Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.evaluation.defects import is_placed
from blemish.evaluation.records import IgnoredRegion, ImageRecord, TruthDefect

BEYOND_ANY_SIZE = 1e11  # square pixels; COCO's range "all" ends at 1e10
CocoRows = list[dict[str, Any]]


def detection_metrics(records: Sequence[ImageRecord], class_names: Sequence[str]) -> dict[str, Any] | None:
    """The "detection" part of metrics.json; None where nothing is annotated. AP without truth is None."""
    placed = [record for record in records if is_placed(record)]
    if not any(record.truth for record in placed):
        return None
    precision = precision_at_recalls(placed, class_names)
    ap50 = [mean_defined(precision[0, :, index]) for index in range(len(class_names))]
    return {
        "images": len(placed),
        "ap50": dict(zip(class_names, ap50, strict=True)),
        "map50": mean_defined(precision[0]),
        "map50_95": mean_defined(precision),
    }


def mean_defined(precision: NDArray[np.float64]) -> float | None:
    """Mean of the entries that COCO does not mark as undefined by −1; None where all are undefined."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else None


def precision_at_recalls(records: Sequence[ImageRecord], class_names: Sequence[str]) -> NDArray[np.float64]:
    """Precision at IoU 0.5, 0.55 … 0.95, 101 recalls and each class: [10, 101, K], −1 without truth.

    Boxes of labels outside `class_names` take part, but have no column.
    """
    from faster_coco_eval import COCO, COCOeval_faster  # a quarter of a second to import

    truth: list[tuple[TruthDefect | IgnoredRegion, ...]] = [
        (*record.truth, *record.ignored) for record in records
    ]
    labels = [mark.label for of_image in truth for mark in of_image]
    labels += [defect.label for record in records for defect in detections(record)]
    category = {name: index for index, name in enumerate(dict.fromkeys((*class_names, *labels)), start=1)}
    # Every image and class is in COCO's structure, so that having no box is no special case.
    images = [{"id": index + 1} for index in range(len(records))]
    categories = [{"id": number, "name": name} for name, number in category.items()]
    sides = []
    for by_image in (truth, [detections(record) for record in records]):
        rows = [
            row
            for number, defects in enumerate(by_image, start=1)
            for row in box_rows(number, defects, category)
        ]
        numbered = [{**row, "id": number} for number, row in enumerate(rows, start=1)]
        sides.append(COCO({"info": {}, "images": images, "annotations": numbered, "categories": categories}))
    evaluation = COCOeval_faster(*sides, "bbox")
    evaluation.params.maxDets = [1, 10, max(100, *(len(detections(record)) for record in records))]
    evaluation.evaluate()
    evaluation.accumulate()
    every_size, all_detections = 0, -1
    precision: NDArray[np.float64] = evaluation.eval["precision"]
    return precision[:, :, : len(class_names), every_size, all_detections]


def detections(record: ImageRecord) -> tuple[Defect, ...]:
    """All detections of an image, whatever its verdict, and those below the method's threshold where it gives
    them: average precision is over all thresholds, unlike the counts of `defects`, which are as shipped.
    """
    inspection = record.inspection
    return inspection.candidates or (*inspection.defects, *inspection.under_limit)


def box_rows(image: int, defects: Sequence[Any], category: dict[str, int]) -> CocoRows:
    """COCO annotations of true or found defects; found ones carry their confidence as score.

    A difficult region gets an area beyond COCO's largest: an object out of its range of sizes is ignored, and
    only `iscrowd` could be said otherwise.
    """
    rows = []
    for defect in defects:
        left, top, right, bottom = defect.box_xyxy
        width, height = right - left, bottom - top
        row = {
            "image_id": image,
            "category_id": category[defect.label],
            "bbox": [left, top, width, height],
            "area": BEYOND_ANY_SIZE if is_difficult(defect) else width * height,
            "iscrowd": int(isinstance(defect, IgnoredRegion) and defect.crowd),
            "score": getattr(defect, "confidence", 1.0),
        }
        rows.append(row)
    return rows


def is_difficult(defect: Any) -> bool:
    """True for an ignored region that is no crowd."""
    return isinstance(defect, IgnoredRegion) and not defect.crowd
