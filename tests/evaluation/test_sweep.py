"""The severity sweep against one comparison per threshold, and scikit-learn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from blemish.bundle.curves import StoredSweep
from blemish.errors import BlemishError
from blemish.evaluation.sweep import SeverityCounts, Sweep, middle_of_best, sweep_threshold

Image = tuple[NDArray[np.float32], NDArray[np.bool_]]
THRESHOLDS = np.linspace(0, 12, 25)

# Severities on and off the thresholds, below the lowest and above the highest.
severities = arrays(np.float32, (4, 5), elements=st.integers(-6, 54).map(lambda n: n / 4))
images = st.lists(st.tuples(severities, arrays(bool, (4, 5))), min_size=1, max_size=4).filter(
    lambda some: any(truth.any() for _, truth in some)
)


@given(images)
@settings(deadline=None)
def test_every_line_equals_thresholding_each_image(some: list[Image]) -> None:
    sweep = sweep_threshold(iter(some), THRESHOLDS)
    truth = np.concatenate([mask.ravel() for _, mask in some])
    for index, threshold in enumerate(THRESHOLDS):
        found = [severity >= threshold for severity, _ in some]
        ious = [(f & t).sum() / (f | t).sum() for f, (_, t) in zip(found, some, strict=True) if t.any()]
        pooled = np.concatenate([each.ravel() for each in found])
        hits = int((pooled & truth).sum())
        assert sweep.mean_iou[index] == pytest.approx(np.mean(ious))
        assert sweep.recall[index] == pytest.approx(hits / truth.sum())
        assert sweep.precision[index] == (pytest.approx(hits / pooled.sum()) if pooled.any() else None)
        assert sweep.f1[index] == pytest.approx(2 * hits / (pooled.sum() + truth.sum()))


@given(images, st.sampled_from(["mean-iou", "pixel-f1"]))
@settings(deadline=None)
def test_best_is_a_maximum_of_its_criterion(some: list[Image], criterion: str) -> None:
    sweep = sweep_threshold(some, THRESHOLDS, criterion=criterion)
    line = sweep.mean_iou if criterion == "mean-iou" else sweep.f1
    assert sweep.best_value == max(value for value in line if value is not None)
    assert line[sweep.thresholds.index(sweep.best)] == sweep.best_value


@given(images)
@settings(deadline=None)
def test_area_under_precision_recall_equals_scikit_learns(some: list[Image]) -> None:
    counts = SeverityCounts(THRESHOLDS)
    for severity, truth in some:
        counts.add(severity, truth)
    binned = np.concatenate(
        [np.searchsorted(THRESHOLDS, severity.ravel(), side="right") for severity, _ in some]
    )
    truth = np.concatenate([mask.ravel() for _, mask in some])
    assert counts.average_precision() == pytest.approx(average_precision_score(truth, binned))
    precision, recall = counts.precision_recall()
    expected_precision, expected_recall, _ = precision_recall_curve(truth, binned)
    points = set(zip(precision.round(9).tolist(), recall.round(9).tolist(), strict=True))
    assert points == set(zip(expected_precision[:-1].round(9), expected_recall[:-1].round(9), strict=True))


def test_a_plateau_is_split_in_the_middle() -> None:
    severity = np.array([[1.0, 1.0, 9.0, 9.0]], np.float32)
    sweep = sweep_threshold([(severity, severity > 5)], np.arange(13))
    assert (sweep.best, sweep.best_value) == (5.0, 1.0)  # every threshold in 2…9 is perfect
    assert middle_of_best(np.array([0.0, 1.0, 1.0, 0.0, 1.0])) == 1


def test_clean_images_count_for_f1_and_not_for_iou() -> None:
    defective = np.array([[2.0, 8.0]], np.float32), np.array([[False, True]])
    clean = np.array([[6.0, 6.0]], np.float32), np.zeros((1, 2), bool)
    thresholds = [4.0, 7.0]
    assert sweep_threshold([defective, clean], thresholds).mean_iou == (1.0, 1.0)
    assert sweep_threshold([defective, clean], thresholds).f1 == pytest.approx((0.5, 1.0))
    assert sweep_threshold([defective, clean], thresholds, criterion="pixel-f1").best == 7.0


def test_a_severity_equal_to_the_threshold_reaches_it() -> None:
    severity = np.full((1, 1), 0.7, np.float32)  # a little under 0.7, as every float32 nearest to it
    assert sweep_threshold([(severity, severity > 0)], [0.7]).recall == (1.0,)


def test_images_larger_than_one_piece_are_counted_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    image = generator.uniform(0, 12, (9, 11)).astype(np.float32), generator.random((9, 11)) < 0.3
    whole = sweep_threshold([image], THRESHOLDS)
    monkeypatch.setattr("blemish.evaluation.sweep.PIXELS_AT_ONCE", 7)
    assert sweep_threshold([image], THRESHOLDS) == whole


def test_bad_input_is_named() -> None:
    good = np.ones((2, 2), np.float32)
    with pytest.raises(BlemishError, match=r"validation image 1: severities must be finite"):
        sweep_threshold([(np.full((2, 2), np.nan, np.float32), good > 0)], [1.0])
    with pytest.raises(BlemishError, match=r"mask's size\. Received: \(2, 2\) and \(3, 2\)"):
        sweep_threshold([(good, np.ones((3, 2), bool))], [1.0])
    with pytest.raises(BlemishError, match=r"images with outlined defects\. Received: none"):
        sweep_threshold([(good, np.zeros((2, 2), bool))], [1.0])
    with pytest.raises(BlemishError, match=r"mean-iou or pixel-f1\. Received: 'iou'"):
        sweep_threshold([(good, good > 0)], [1.0], criterion="iou")


def test_json_is_strict() -> None:
    severity = np.array([[1.0, 3.0]], np.float32)
    fields = sweep_threshold([(severity, severity > 2)], [0.0, 2.0, 9.0]).to_json()
    read = json.loads(json.dumps(fields, allow_nan=False))
    assert read["precision"] == [0.5, 1.0, None]
    assert Sweep(**StoredSweep.model_validate(read).model_dump()).to_json() == fields
