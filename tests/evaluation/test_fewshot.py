"""The protocol's figures against worked examples, a plain AP written out here, and scipy's t interval."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from blemish.errors import BlemishError
from blemish.evaluation.detection import detection_metrics
from blemish.evaluation.fewshot import (
    RankedDetections,
    few_shot_metrics,
    group_mean,
    mean_interval,
    paired_difference,
    paper_ap,
    paper_threshold,
    ranked_detections,
)

BOX, HIGHER, FAR, FARTHER = (0, 0, 10, 10), (0, 0, 10, 8), (50, 50, 60, 60), (80, 80, 90, 90)


# Eq. 8


def test_paper_ap_of_a_worked_example(record_of: Any) -> None:
    """Three leaks. Shown from 0.5 on: two right, a second box on a leak, one on nothing; TP 2, FP 2, FN 1."""
    records = [
        record_of(
            [("leak", BOX), ("leak", FAR)], [("leak", HIGHER, 0.9), ("leak", BOX, 0.8), ("pit", FAR, 0.9)]
        ),
        record_of([("leak", BOX)], [("leak", BOX, 0.5), ("leak", FAR, 0.7), ("leak", FARTHER, 0.4)]),
    ]
    ranked = ranked_detections(records, "leak")
    assert ranked.scores.tolist() == [0.9, 0.8, 0.7, 0.5, 0.4]
    assert ranked.right.tolist() == [True, False, False, True, False]
    assert ranked.truth == 3
    assert paper_ap(ranked, 0.5) == pytest.approx((2 / 4 + 2 / 3) / 2)
    assert paper_ap(ranked, 0.51) == pytest.approx((1 / 3 + 1 / 3) / 2)
    assert paper_ap(ranked, 0.0) == pytest.approx((2 / 5 + 2 / 3) / 2)
    assert paper_ap(ranked, 0.95) == 0


def test_paper_ap_without_truth_is_none_and_without_detections_zero(record_of: Any) -> None:
    assert paper_ap(ranked_detections([record_of([], [("leak", BOX)])], "leak"), 0.1) is None
    assert paper_ap(ranked_detections([record_of([("leak", BOX)], [])], "leak"), 0.1) == 0
    unplaced = record_of([("leak", BOX)], [("leak", BOX)], placed_by="label")
    assert ranked_detections([unplaced], "leak").scores.size == 0


def test_detections_under_the_methods_threshold_count(record_of: Any) -> None:
    record = record_of([("leak", BOX)], [("leak", BOX, 0.9)])
    lower = record_of([], [("leak", BOX, 0.9), ("leak", FAR, 0.1)]).inspection.defects
    with_candidates = replace(record, inspection=replace(record.inspection, candidates=lower))
    assert ranked_detections([with_candidates], "leak").scores.tolist() == [0.9, 0.1]


def test_a_match_asks_for_the_iou(record_of: Any) -> None:
    half, less = (0, 0, 10, 5), (0, 0, 10, 4.9)
    for box, right in ((half, True), (less, False)):
        record = record_of([("leak", BOX)], [("leak", box, 0.9)])
        assert ranked_detections([record], "leak").right.tolist() == [right]
    record = record_of([("leak", BOX)], [("leak", HIGHER, 0.9)])
    assert ranked_detections([record], "leak", iou=0.8).right.tolist() == [True]
    assert ranked_detections([record], "leak", iou=0.81).right.tolist() == [False]


@settings(max_examples=100)
@given(st.integers(0, 10_000))
def test_the_threshold_has_the_greatest_mean_paper_ap(seed: int) -> None:
    generator = np.random.default_rng(seed)
    classes = []
    for count in generator.integers(0, 12, 3):
        scores = -np.sort(-generator.integers(1, 20, count) / 20)
        right = generator.random(count) < 0.5
        classes.append(RankedDetections(scores, right, int(right.sum() + generator.integers(0, 3))))
    marked = [each for each in classes if each.truth]

    def mean_at(threshold: float) -> float:
        """Eqs. 6 to 8 as they stand."""
        total = 0.0
        for each in marked:
            tp = sum(
                right for score, right in zip(each.scores, each.right, strict=True) if score >= threshold
            )
            shown = sum(score >= threshold for score in each.scores)
            total += ((tp / shown if shown else 0) + tp / each.truth) / 2
        return total / max(len(marked), 1)

    chosen = paper_threshold(classes)
    thresholds = np.linspace(0.05, 1, 20)
    assert mean_at(chosen) == pytest.approx(max(mean_at(each) for each in thresholds))
    assert all(mean_at(each) < mean_at(chosen) + 1e-12 for each in thresholds[thresholds > chosen + 1e-9])
    for each in marked:
        assert paper_ap(each, chosen) == pytest.approx(mean_of_one(each, chosen))


def mean_of_one(one: RankedDetections, threshold: float) -> float:
    shown = one.right[one.scores >= threshold]
    return ((shown.mean() if shown.size else 0) + shown.sum() / one.truth) / 2


def test_of_equal_thresholds_the_highest_is_chosen_and_one_where_nothing_is_found() -> None:
    twice = RankedDetections(np.array([0.9, 0.4, 0.3]), np.array([True, False, False]), 1)
    equal = RankedDetections(np.array([0.8, 0.6]), np.array([True, False]), 2)
    assert paper_threshold([twice]) == 0.9
    # At 0.8: (1 + 1/2) / 2; at 0.6: (1/2 + 1/2) / 2.
    assert paper_threshold([equal]) == 0.8
    even = RankedDetections(np.array([0.8, 0.6, 0.5, 0.4]), np.array([True, False, False, True]), 2)
    # At 0.8: (1 + 1/2) / 2; at 0.4: (1/2 + 1) / 2.
    assert paper_threshold([even]) == 0.8
    assert paper_threshold([RankedDetections(np.empty(0), np.empty(0, bool), 3)]) == 1
    assert paper_threshold([]) == 1


# AP50


def plain_ap50(images: list[tuple[list[Any], list[Any]]]) -> float:
    """COCO's AP at IoU 0.5 from its description: match, precision made falling, 101 recall points."""
    outcomes, truth = [], sum(len(true) for true, _ in images)
    for true, found in images:
        free = list(true)
        for box, score in sorted(found, key=lambda one: -one[1]):
            overlaps = [plain_iou(box, other) for other in free]
            hit = bool(overlaps) and max(overlaps) >= 0.5
            if hit:
                free.pop(int(np.argmax(overlaps)))
            outcomes.append((score, hit))
    points, hits = [], 0
    for rank, (_, hit) in enumerate(sorted(outcomes, key=lambda one: -one[0]), start=1):
        hits += hit
        points.append((hits / truth, hits / rank))
    levels = np.linspace(0, 1, 101)  # as COCO has them, to the last bit
    reached = [[precision for recall, precision in points if recall >= level] for level in levels]
    return sum(max(precisions, default=0) for precisions in reached) / 101


def plain_iou(one: Any, other: Any) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


@pytest.mark.parametrize("seed", range(8))
def test_ap50_is_a_plain_average_precision(seed: int, record_of: Any) -> None:
    generator = np.random.default_rng(seed)
    records, images = [], {name: [] for name in ("leak", "pit")}
    for _ in range(12):
        true, found = {}, {}
        for name, seen in images.items():
            corners = 30 * generator.permutation(9)[: generator.integers(1, 5)]
            true[name] = [(corner, 0, corner + 20, 20) for corner in corners.tolist()]
            shifts = generator.integers(-5, 6, (len(corners), 2))
            boxes = [
                (left + x, y, left + x + 20, y + 20)
                for (left, *_), (x, y) in zip(true[name], shifts.tolist(), strict=True)
            ]
            boxes += [(400, 0, 420, 20)] * int(generator.integers(0, 2))
            found[name] = list(zip(boxes, generator.random(len(boxes)).tolist(), strict=True))
            seen.append((true[name], found[name]))
        truth = [(name, box) for name, boxes in true.items() for box in boxes]
        answers = [(name, box, score) for name, pairs in found.items() for box, score in pairs]
        records.append(record_of(truth, answers))
    metrics = detection_metrics(records, list(images))
    assert metrics is not None
    for name, seen in images.items():
        assert 0.05 < plain_ap50(seen) < 0.95
        assert metrics["ap50"][name] == pytest.approx(plain_ap50(seen), abs=1e-6)


# Groups and draws


def test_a_draws_figures_by_group(record_of: Any) -> None:
    records = [
        record_of([("leak", BOX)], [("leak", BOX, 0.9)]),
        record_of([("pit", BOX)], [("pit", FAR, 0.9), ("pit", BOX, 0.6)]),
        record_of([("fray", BOX)], []),
    ]
    names = ["leak", "pit", "fray", "hole"]
    figures = few_shot_metrics(records, names, common=["leak", "pit"], rare=["fray", "hole"], threshold=0.5)
    assert figures is not None
    assert figures["ap50"] == {"leak": 1, "pit": pytest.approx(0.5), "fray": 0, "hole": None}
    assert (figures["bap50"], figures["nap50"]) == (pytest.approx(0.75), 0)
    assert figures["paper_ap"] == {"leak": 1, "pit": (1 / 2 + 1) / 2, "fray": 0, "hole": None}
    assert figures["b_paper_ap"] == pytest.approx(0.875)
    assert figures["n_paper_ap"] == 0
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert few_shot_metrics([record_of([], [])], names, common=[], rare=[], threshold=0.5) is None


def test_a_group_mean_leaves_out_what_is_not_defined() -> None:
    figures = {"leak": 0.5, "pit": None, "fray": 0.1}
    assert group_mean(figures, ["leak", "pit", "fray"]) == pytest.approx(0.3)
    assert group_mean(figures, ["pit"]) is None
    assert group_mean(figures, []) is None
    with pytest.raises(BlemishError, match=r"that were measured: leak, pit, fray\. Received: 'hole'"):
        group_mean(figures, ["leak", "hole"])


@pytest.mark.parametrize("draws", [2, 5, 10, 30])
def test_the_interval_is_scipys(draws: int) -> None:
    values = np.random.default_rng(draws).normal(0.4, 0.1, draws)
    interval = mean_interval(values.tolist())
    low, high = stats.t.interval(0.95, draws - 1, loc=values.mean(), scale=stats.sem(values))
    assert (interval.mean, interval.low, interval.high) == pytest.approx((values.mean(), low, high))
    assert interval.half_width == pytest.approx((high - low) / 2)
    assert interval.draws == draws


def test_the_interval_by_hand() -> None:
    """Of 1, 2, 3: standard deviation 1, t(2, 97.5 %) = 4.3027."""
    interval = mean_interval([1, 2, 3])
    assert interval.half_width == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert not interval.excludes_zero
    assert mean_interval([0.2, 0.21, 0.19]).excludes_zero
    assert mean_interval([-0.2, -0.21, -0.19]).excludes_zero


def test_one_draw_has_no_interval() -> None:
    interval = mean_interval([0.4])
    assert interval.to_json() == {"mean": 0.4, "low95": None, "high95": None, "draws": 1}
    assert interval.half_width is None
    assert not interval.excludes_zero


def test_a_paired_difference_is_free_of_what_the_draws_share() -> None:
    """Draws differ by far more than the methods do; scipy's paired test sees the difference all the same."""
    generator = np.random.default_rng(3)
    shared, gain = generator.normal(0.4, 0.2, 6), generator.normal(0.12, 0.01, 6)
    ours = {f"draw {index}": value for index, value in enumerate(shared + gain)}
    theirs = dict(reversed([(f"draw {index}", value) for index, value in enumerate(shared)]))
    interval = paired_difference(ours, theirs)
    expected = stats.ttest_rel(shared + gain, shared).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.mean == pytest.approx(gain.mean())
    assert interval.excludes_zero


def test_a_paired_difference_refuses_other_draws() -> None:
    with pytest.raises(BlemishError, match=r"same support draws\. Received: 'b' on one side only\. Run"):
        paired_difference({"a": 0.1, "b": 0.2}, {"a": 0.1})
    with pytest.raises(BlemishError, match="no draw"):
        paired_difference({}, {})
