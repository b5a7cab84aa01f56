"""Confusion of types, counted by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.evaluation.classification import type_metrics

BOX, FAR = (0, 0, 4, 4), (20, 20, 24, 24)


def test_confusion_by_hand(record_of: Any) -> None:
    records = [
        record_of([("scratch", BOX), ("spot", FAR)], [("scratch", BOX), ("scratch", FAR)]),
        record_of([("spot", BOX)], [("spot", FAR)]),
        record_of([], [("scratch", BOX)]),
    ]
    assert type_metrics(records, ["scratch", "spot"]) == {
        "accuracy": 0.5,
        "iou": 0.3,
        "confusion": {
            "scratch": {"scratch": 1, "spot": 0, "missed": 0},
            "spot": {"scratch": 1, "spot": 0, "missed": 1},
            "false alarm": {"scratch": 1, "spot": 1, "missed": 0},
        },
    }


def test_a_wrong_name_is_no_miss_even_beside_a_right_one(record_of: Any) -> None:
    record = record_of([("spot", BOX)], [("scratch", BOX, 0.9), ("spot", BOX, 0.5)])
    metrics = type_metrics([record], ["scratch", "spot"])
    assert metrics is not None
    assert metrics["accuracy"] == 0.0
    assert metrics["confusion"]["spot"] == {"scratch": 1, "spot": 0, "missed": 0}
    assert metrics["confusion"]["false alarm"]["spot"] == 1


def test_a_label_nobody_knows_gets_its_own_line(record_of: Any) -> None:
    metrics = type_metrics([record_of([("dent", BOX)], [("hole", BOX)])], ["scratch", "spot"])
    assert metrics is not None
    assert metrics["confusion"]["dent"]["hole"] == 1


def test_where_it_does_not_apply(record_of: Any) -> None:
    placed = record_of([("spot", BOX)], [])
    assert type_metrics([placed], ["spot"]) is None
    assert type_metrics([record_of([], [("spot", BOX)])], ["scratch", "spot"]) is None
    assert type_metrics([record_of([("spot", BOX)], [], placed_by="label")], ["scratch", "spot"]) is None
    metrics = type_metrics([placed], ["scratch", "spot"])
    assert metrics is not None
    assert metrics["accuracy"] is None  # nothing was found, so no name was right or wrong


names = st.sampled_from(["scratch", "spot"])
places = st.sampled_from([BOX, FAR, (2, 0, 6, 4), (20, 20, 28, 28)])
marks = st.lists(st.tuples(names, places), max_size=4)


@given(st.lists(st.tuples(marks, marks), min_size=1, max_size=4))
@settings(deadline=None, max_examples=50)
def test_every_true_and_every_found_defect_is_counted_once(record_of: Any, images: list[Any]) -> None:
    metrics = type_metrics([record_of(true, found) for true, found in images], ["scratch", "spot"])
    if metrics is None:
        assert not any(true for true, _ in images)
        return
    confusion = metrics["confusion"]
    true_counts = sum(n for label, row in confusion.items() if label != "false alarm" for n in row.values())
    found_counts = sum(n for row in confusion.values() for label, n in row.items() if label != "missed")
    assert true_counts == sum(len(true) for true, _ in images)
    assert found_counts == sum(len(found) for _, found in images)
