"""Detection metrics for datasets that mark defects by boxes: AP50 per class, mAP50 and mAP50:95.

Source: the COCO definition (101 recall points), computed by faster-coco-eval. No detection is left out: the
limit of 100 an image and class is lifted to the most that any image has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.evaluation.defects import is_placed
from blemish.evaluation.records import ImageRecord

Rows = list[dict[str, Any]]


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
    """Mean of the entries that COCO does not mark as undefined by −1; None where all are."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else None


def precision_at_recalls(records: Sequence[ImageRecord], class_names: Sequence[str]) -> NDArray[np.float64]:
    """Precision at IoU 0.5, 0.55 … 0.95, 101 recalls and each class: [10, 101, K], −1 without truth.

    Labels outside `class_names` have boxes too, and no column.
    """
    from faster_coco_eval import COCO, COCOeval_faster  # a quarter of a second to import

    labels = [defect.label for one in records for defect in one.truth]
    labels += [defect.label for one in records for defect in detections(one)]
    category = {name: index for index, name in enumerate(dict.fromkeys((*class_names, *labels)), start=1)}
    truth = [row for i, one in enumerate(records) for row in box_rows(i + 1, one.truth, category)]
    found = [row for i, one in enumerate(records) for row in box_rows(i + 1, detections(one), category)]
    both = [in_coco_structure(COCO, rows, len(records), category) for rows in (truth, found)]
    evaluation = COCOeval_faster(*both, "bbox")
    evaluation.params.maxDets = [1, 10, max(100, *(len(detections(one)) for one in records))]
    evaluation.evaluate()
    evaluation.accumulate()
    every_size, most = 0, -1
    precision: NDArray[np.float64] = evaluation.eval["precision"][:, :, : len(class_names), every_size, most]
    return precision


def detections(record: ImageRecord) -> tuple[Defect, ...]:
    """All detections of an image: those below the method's threshold, too, where it gives them."""
    return record.inspection.candidates or record.inspection.defects


def in_coco_structure(make: Any, rows: Rows, image_count: int, category: dict[str, int]) -> Any:
    """COCO's structure in memory, with every image and class, so that having no box is no special case."""
    numbered = [{**row, "id": number} for number, row in enumerate(rows, start=1)]
    images = [{"id": index + 1} for index in range(image_count)]
    categories = [{"id": number, "name": name} for name, number in category.items()]
    return make({"info": {}, "images": images, "annotations": numbered, "categories": categories})


def box_rows(image: int, defects: Sequence[Any], category: dict[str, int]) -> Rows:
    """COCO rows of true or found defects; found ones carry their confidence as score."""
    rows = []
    for defect in defects:
        left, top, right, bottom = defect.box_xyxy
        width, height = right - left, bottom - top
        row = {
            "image_id": image,
            "category_id": category[defect.label],
            "bbox": [left, top, width, height],
            "area": width * height,
            "iscrowd": 0,
            "score": getattr(defect, "confidence", 1.0),
        }
        rows.append(row)
    return rows
