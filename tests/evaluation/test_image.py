"""Image metrics against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from blemish.evaluation.image import average_precision, call_metrics, image_metrics, is_defective, roc
from blemish.inspection import Verdict
from blemish.ranks import auroc

scored = st.lists(
    st.tuples(st.integers(0, 6).map(lambda n: n / 6), st.booleans()), min_size=2, max_size=30
).filter(lambda pairs: len({bad for _, bad in pairs}) == 2)


@given(scored)
@settings(deadline=None)
def test_auroc_and_ap_equal_scikit_learns(pairs: list[tuple[float, bool]]) -> None:
    scores, defective = [score for score, _ in pairs], [bad for _, bad in pairs]
    assert auroc(scores, defective) == pytest.approx(roc_auc_score(defective, scores))
    assert average_precision(scores, defective) == pytest.approx(average_precision_score(defective, scores))


@given(scored)
@settings(deadline=None)
def test_the_area_under_the_roc_points_is_the_auroc(pairs: list[tuple[float, bool]]) -> None:
    scores, defective = [score for score, _ in pairs], [bad for _, bad in pairs]
    points = roc(scores, defective)
    assert points is not None
    alarms, recall = points
    assert (alarms[0], recall[0], alarms[-1], recall[-1]) == (0, 0, 1, 1)
    area = (np.diff(alarms) * (recall[1:] + recall[:-1]) / 2).sum()
    assert area == pytest.approx(auroc(scores, defective))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@settings(deadline=None)
def test_calls_equal_scikit_learns(pairs: list[tuple[bool, bool]]) -> None:
    called, truth = np.array(pairs).T
    metrics = call_metrics(called, truth)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(truth, called))
    if called.any():
        assert metrics["precision"] == pytest.approx(precision_score(truth, called))
    if truth.any():
        assert metrics["recall"] == pytest.approx(recall_score(truth, called))
    if truth.any() or called.any():
        assert metrics["f1"] == pytest.approx(f1_score(truth, called))


def test_one_kind_of_image_has_no_auroc() -> None:
    assert auroc([0.1, 0.2], [True, True]) is None
    assert roc([0.1, 0.2], [False, False]) is None
    assert average_precision([0.1, 0.2], [False, False]) is None
    assert average_precision([], []) is None
    assert call_metrics(np.zeros(2, bool), np.zeros(2, bool)) == {
        "accuracy": 1.0,
        "precision": None,
        "recall": None,
        "f1": None,
    }


def test_review_is_no_call_and_an_error_is_in_no_figure(record_of: Any) -> None:
    box = (0, 0, 4, 4)
    records = [
        record_of([("spot", box)], verdict=Verdict.NG, score=0.9),
        record_of([("spot", box)], verdict=Verdict.REVIEW, score=0.5),
        record_of([], verdict=Verdict.OK, score=0.1),
        record_of([("spot", box)], verdict=Verdict.ERROR, score=None),
    ]
    metrics = image_metrics(records)
    assert metrics is not None
    assert (metrics["images"], metrics["defective"], metrics["auroc"]) == (3, 2, 1.0)
    assert (metrics["precision"], metrics["recall"], metrics["accuracy"]) == pytest.approx((1, 1 / 2, 2 / 3))
    assert image_metrics(records[3:]) is None


def test_truth_of_an_image(record_of: Any, sample_with: Any) -> None:
    box = (0, 0, 4, 4)
    assert is_defective(record_of([("spot", box)]))
    assert is_defective(record_of([("bad", box)], placed_by="label"))
    assert not is_defective(record_of([]))
    emptied = record_of([])
    emptied = type(emptied)(sample_with(["Uneven"]), emptied.inspection, (), emptied.iou)
    assert is_defective(emptied)  # its mask file is all black, but the dataset says Uneven
