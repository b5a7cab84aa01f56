"""Effect of a change on each class, counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from blemish.evaluation.before_after import box_outcomes, change_sentences, class_changes, class_figures
from blemish.evaluation.records import ImageRecord

BOX, NEAR, FAR, THIRD = (0, 0, 10, 10), (1, 0, 11, 10), (40, 40, 60, 60), (80, 0, 99, 9)
Make = Callable[..., ImageRecord]


def test_each_true_defect_has_one_end(record_of: Make) -> None:
    record = record_of(true=[("a", BOX), ("b", FAR), ("a", THIRD)], found=[("a", NEAR, 0.9), ("a", FAR, 0.8)])
    assert box_outcomes(record) == ["found", "confused", "missed"]


def test_a_right_detection_is_taken_before_a_surer_wrong_one(record_of: Make) -> None:
    assert box_outcomes(record_of([("a", BOX)], [("b", BOX, 0.9), ("a", NEAR, 0.3)])) == ["found"]


def test_one_detection_confuses_one_defect(record_of: Make) -> None:
    assert sorted(box_outcomes(record_of([("a", BOX), ("a", NEAR)], [("b", BOX, 0.9)]))) == [
        "confused",
        "missed",
    ]


def test_figures_of_a_class(record_of: Make) -> None:
    records = [record_of([("a", BOX)], [("a", BOX, 0.9), ("a", FAR, 0.8)]), record_of([], [("b", BOX, 0.4)])]
    figures = class_figures(records, ("a", "b"))
    a, b = figures["a"], figures["b"]
    assert (a.ap50, a.found, a.missed, a.confused, a.alarms) == (1.0, 1, 0, 0, 1)
    assert (b.ap50, b.found, b.alarms) == (None, 0, 1)


def test_a_loss_is_said_and_a_new_class_measured(record_of: Make) -> None:
    before = [record_of([("a", BOX), ("c", FAR)], [("a", BOX, 0.9)])]
    after = [record_of([("a", BOX), ("c", FAR)], [("c", BOX, 0.9), ("c", FAR, 0.8)])]
    changes = class_changes(before, after, ("a",), ("a", "c"))
    assert changes[1].before is None
    lost, new = change_sentences(changes)
    assert lost == (
        "'a' got worse: AP50 100.0 → 0.0; found 1 → 0 of 1, confused 0 → 1. Of the 1 found before, 1 are "
        "lost: 5 to 100 % (95 % bounds)."
    )
    assert new.startswith("'c': AP50 50.") and new.endswith("1 of 1 found, 1 false alarm.")


def test_no_loss_is_said_too(record_of: Make) -> None:
    records = [record_of([("a", BOX)], [("a", BOX, 0.9)])]
    remaining, new = change_sentences(class_changes(records, records, ("a",), ("a", "c")))
    assert remaining.startswith("No older class lost")
    assert new == "'c' is marked in none of these images: 0 false alarms."


def test_a_loss_made_up_for_by_another_find_is_a_loss(record_of: Make) -> None:
    truth = [("a", BOX), ("a", FAR)]
    before, after = [record_of(truth, [("a", BOX, 0.9)])], [record_of(truth, [("a", FAR, 0.9)])]
    (change,) = class_changes(before, after, ("a",), ("a",))
    assert change.before is not None and change.before.found == change.after.found == 1
    assert change.lost is not None and (change.lost.n, change.lost.of) == (1, 1)
    assert change.lost.lower95 == pytest.approx(0.05) and change.lost.upper95 == 1


def test_where_nothing_was_found_before_that_is_said(record_of: Make) -> None:
    records = [record_of([("a", BOX)], [])]
    (sentence,) = change_sentences(class_changes(records, records, ("a",), ("a",)))
    assert sentence.startswith("None of the older classes' defects was found before")
