"""AP by COCO's definition: cases worked out by hand, and random ones against the reference implementation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from blemish.evaluation.detection import detection_metrics

BOX, HIGHER, FAR = (0, 0, 10, 10), (0, 0, 10, 8), (50, 50, 60, 60)


def test_ap_by_hand(record_of: Any) -> None:
    records = [
        record_of([("open", BOX), ("short", FAR)], [("open", BOX, 0.9), ("short", FAR, 0.8)]),
        record_of([("open", BOX)], [("open", FAR, 0.7), ("open", HIGHER, 0.6)]),
        record_of([], [("short", BOX, 0.9)]),
    ]
    metrics = detection_metrics(records, ["open", "short", "spur"])
    assert metrics is not None
    # open: right, wrong, right. Recall 0.5 at precision 1, then 1 at 2/3: 51 and 50 of 101 points.
    assert metrics["ap50"]["open"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    # short: the false alarm on the clean image goes first, so precision is 1/2 up to full recall.
    assert metrics["ap50"]["short"] == pytest.approx(0.5)
    assert metrics["ap50"]["spur"] is None
    assert metrics["map50"] == pytest.approx(((51 + 50 * 2 / 3) / 101 + 0.5) / 2)
    # The second box has IoU 0.8: right at 0.5 … 0.8 (seven thresholds), else recall stays 0.5 at precision 1.
    strict_open = (7 * (51 + 50 * 2 / 3) + 3 * 51) / 101 / 10
    assert metrics["map50_95"] == pytest.approx((strict_open + 0.5) / 2)


def test_nothing_found_is_zero_and_nothing_annotated_is_none(record_of: Any) -> None:
    metrics = detection_metrics([record_of([("open", BOX)], [])], ["open"])
    assert metrics == {"images": 1, "ap50": {"open": 0.0}, "map50": 0.0, "map50_95": 0.0}
    assert detection_metrics([record_of([], [("open", BOX)])], ["open"]) is None
    assert detection_metrics([record_of([("open", BOX)], [], placed_by="label")], ["open"]) is None


def test_findings_under_the_limit_are_ranked_with_the_others(record_of: Any) -> None:
    """Average precision is over all thresholds, whatever the verdicts."""
    found = [("open", BOX, 0.9), ("open", FAR, 0.8)], [("open", FAR, 0.7), ("open", HIGHER, 0.6)]
    records = [record_of([("open", BOX)], each) for each in found]
    passed = [
        replace(one, inspection=replace(one.inspection, defects=(), under_limit=one.inspection.defects))
        for one in records
    ]
    assert detection_metrics(passed, ["open"]) == detection_metrics(records, ["open"])


def test_more_than_a_hundred_detections_all_count(record_of: Any) -> None:
    boxes = [(20.0 * i, 0.0, 20.0 * i + 10, 10.0) for i in range(150)]
    record = record_of([("open", box) for box in boxes], [("open", box) for box in boxes])
    metrics = detection_metrics([record], ["open"])
    assert metrics is not None
    assert metrics["ap50"]["open"] == 1.0


def test_a_label_outside_the_class_names_changes_no_class(record_of: Any) -> None:
    record = record_of([("open", BOX)], [("open", BOX), ("hole", BOX)])
    metrics = detection_metrics([record], ["open"])
    assert metrics is not None
    assert metrics["ap50"] == {"open": 1.0}
    assert np.isclose(metrics["map50"], 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_ap_is_that_of_pycocotools(record_of: Any, seed: int) -> None:
    """On random boxes, half of them near a true one, with scores that repeat."""
    names = ["open", "short", "spur"]
    records = random_records(record_of, names, np.random.default_rng(seed))
    metrics = detection_metrics(records, names)
    assert metrics is not None
    expected = reference_precision(records, names)
    for index, name in enumerate(names):
        assert metrics["ap50"][name] == pytest.approx(expected[0, :, index].mean(), abs=1e-9)
    assert metrics["map50_95"] == pytest.approx(expected.mean(), abs=1e-9)


def random_records(record_of: Any, names: list[str], generator: np.random.Generator) -> list[Any]:
    records = []
    for _ in range(12):
        corners = generator.uniform(0, 80, (6, 2))
        true = [
            (str(generator.choice(names)), box(*corner, *generator.uniform(8, 20, 2))) for corner in corners
        ]
        near = [
            (label, tuple(np.array(place) + generator.normal(0, 1.5, 4)), score(generator))
            for label, place in true
        ]
        far = [
            (str(generator.choice(names)), box(*generator.uniform(0, 80, 2), 12, 9), score(generator))
            for _ in range(6)
        ]
        records.append(record_of(true, [*near, *far]))
    return records


def box(left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
    return (left, top, left + width, top + height)


def score(generator: np.random.Generator) -> float:
    return float(generator.integers(1, 1000)) / 1000


def reference_precision(records: list[Any], names: list[str]) -> Any:
    """[10, 101, K] by the reference implementation."""
    truth, found = COCO(), []
    annotations = []
    for image, record in enumerate(records, start=1):
        for each in record.truth:
            left, top, right, bottom = each.box_xyxy
            size = (right - left, bottom - top)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": names.index(each.label) + 1,
                    "bbox": [left, top, *size],
                    "area": size[0] * size[1],
                    "iscrowd": 0,
                }
            )
        for each in record.inspection.defects:
            left, top, right, bottom = each.box_xyxy
            place = {"bbox": [left, top, right - left, bottom - top], "score": each.confidence}
            found.append({"image_id": image, "category_id": names.index(each.label) + 1, **place})
    categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
    images = [{"id": i} for i in range(1, len(records) + 1)]
    truth.dataset = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, -1]
