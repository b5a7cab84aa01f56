"""Planted wrong labels come first; a perfect model disputes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from blemish.evaluation.evaluator import Evaluator
from blemish.evaluation.label_issues import chances_of_mark, label_issues, label_issues_json
from blemish.evaluation.records import Evaluation, ImageRecord
from blemish.inspection import Verdict

BOX, FAR = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


def named(record: ImageRecord, name: str) -> ImageRecord:
    return replace(record, sample=replace(record.sample, id=name, image=Path(name)))


def evaluated(records: Sequence[ImageRecord]) -> Evaluation:
    evaluator = Evaluator(["dent", "scratch"])
    evaluator.records = list(records)
    return evaluator.result(method="any", split="test", seed=0)


@pytest.fixture
def records(record_of: Any) -> list[ImageRecord]:
    """40 clean images that score up to 0.45 and 40 with a dent that score from 0.4, all found."""
    generator = np.random.default_rng(0)
    clean = [record_of(score=float(each)) for each in generator.uniform(0, 0.45, 40)]
    dents = [
        record_of([("dent", BOX)], [("dent", BOX, 0.9)], score=float(each), verdict=Verdict.NG)
        for each in generator.uniform(0.4, 1, 40)
    ]
    return [named(each, f"right-{number}") for number, each in enumerate((*clean, *dents))]


def test_planted_wrong_labels_come_first(records: list[ImageRecord], record_of: Any) -> None:
    planted = [
        record_of(score=0.95, verdict=Verdict.NG),
        record_of(score=0.7, verdict=Verdict.NG),
        record_of([("dent", BOX)], [], score=0.02),
        record_of([("scratch", BOX)], [], score=0.1),
        record_of([("scratch", BOX)], [("dent", BOX, 0.97)], score=0.9, verdict=Verdict.NG),
        record_of([("dent", BOX)], [("dent", BOX, 0.9), ("dent", FAR, 0.93)], score=0.9, verdict=Verdict.NG),
    ]
    wrong = [named(each, f"wrong-{number}") for number, each in enumerate(planted)]
    found = label_issues(evaluated([*records[:30], *wrong, *records[30:]]))
    assert {each.record.sample.id for each in found[:6]} == {f"wrong-{number}" for number in range(6)}
    assert [each.doubt for each in found] == sorted((each.doubt for each in found), reverse=True)
    text = {each.record.sample.id: each.sentence for each in found}
    assert text["wrong-0"].startswith("Marked clean, with a score of 0.")
    assert "Marked scratch, " in text["wrong-3"] and "that it is clean at " in text["wrong-3"]
    assert text["wrong-4"] == "Marked scratch, but found as dent (confidence 0.97)."
    assert (
        text["wrong-5"]
        == "Nothing is marked here, but dent (confidence 0.93) was found beside the marked defects."
    )


def test_a_piece_of_a_marked_defect_disputes_nothing(record_of: Any) -> None:
    long, piece = (0.0, 0.0, 100.0, 2.0), (10.0, 0.0, 14.0, 2.0)  # IoU 0.04
    images = [
        named(record_of([("crack", long)], [("crack", long), ("crack", box, 0.9)], score=0.9), f"{box}")
        for box in (piece, FAR)
    ]
    assert [each.record.sample.id for each in label_issues(evaluated(images))] == [f"{FAR}"]


def test_a_model_that_agrees_disputes_nothing(record_of: Any) -> None:
    clean = [named(record_of(score=0.1 + 0.001 * n), f"c{n}") for n in range(20)]
    dents = [
        named(record_of([("dent", BOX)], [("dent", BOX)], score=0.8 + 0.001 * n), f"d{n}") for n in range(20)
    ]
    evaluation = evaluated([*clean, *dents])
    assert label_issues(evaluation) == []
    assert json.loads(label_issues_json(evaluation)) == {"schema": 1, "disputed": []}


def test_the_curve_is_that_of_a_reference_fit() -> None:
    generator = np.random.default_rng(1)
    defective = generator.random(300) < 0.4
    scores = np.clip(generator.normal(0.35, 0.15, 300) + 0.25 * defective, 0, 1)
    centred = ((scores - scores.mean()) / scores.std())[:, None]
    reference = LogisticRegression(C=100, tol=1e-8).fit(centred, defective).predict_proba(centred)[:, 1]
    np.testing.assert_allclose(chances_of_mark(scores, defective), reference, atol=2e-3)


def test_without_both_kinds_no_image_is_in_doubt(record_of: Any) -> None:
    clean = [named(record_of(score=0.9), f"c{n}") for n in range(9)]
    dents = [named(record_of([("dent", BOX)], score=0.1), f"d{n}") for n in range(4)]
    assert label_issues(evaluated(clean)) == label_issues(evaluated([*clean, *dents])) == []


def test_scores_apart_and_scores_turned_round_stay_finite() -> None:
    scores, defective = np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])
    apart = chances_of_mark(scores, defective)
    assert np.isfinite(apart).all() and (np.diff(apart) >= 0).all() and apart[1] < 0.1 and apart[2] > 0.9
    turned = chances_of_mark(scores, ~defective)
    assert np.allclose(turned, 0.5), "a score that ranks the wrong way round says nothing"


def test_failed_images_are_left_out(records: list[ImageRecord]) -> None:
    failed = replace(records[0].inspection, verdict=Verdict.ERROR, score=None)
    evaluation = evaluated([*records, named(replace(records[0], inspection=failed), "failed")])
    assert "failed" not in label_issues_json(evaluation)
