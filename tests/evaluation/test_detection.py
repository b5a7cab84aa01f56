"""AP by COCO's definition, on cases worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
