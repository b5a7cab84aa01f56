"""Curves against the metrics they are drawn beside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from blemish.evaluation.curves import (
    MAX_POINTS,
    iou_curve,
    precision_recall_curve,
    roc_curve,
    thinned,
    threshold_curve,
)
from blemish.evaluation.defects import defect_metrics
from blemish.evaluation.records import Curve
from blemish.evaluation.sweep import SeverityCounts
from blemish.ranks import auroc

BOX, HALF = (0, 0, 4, 4), (0, 0, 4, 2)


def is_drawable(curve: Curve) -> bool:
    lines = curve.lines.values()
    finite = all(math.isfinite(value) for line in (curve.x, *lines) for value in line)
    return finite and all(len(line) == len(curve.x) for line in lines) and bool(lines)


@pytest.fixture
def counts() -> SeverityCounts:
    generator = np.random.default_rng(5)
    truth = generator.random((30, 30)) < 0.2
    counts = SeverityCounts(np.linspace(0, 12, 1201))
    counts.add((generator.uniform(0, 6, (30, 30)) + 3 * truth).astype(np.float32), truth)
    return counts


def test_iou_curve_passes_through_the_metrics(record_of: Any) -> None:
    records = [
        record_of([("spot", BOX)], [("spot", BOX)]),
        record_of([("spot", BOX)], [("scratch", HALF)]),
        record_of([], [("spot", BOX)]),
    ]
    curve, metrics = iou_curve(records), defect_metrics(records, ["spot", "scratch"])
    assert curve is not None
    assert metrics is not None
    assert is_drawable(curve)
    at = curve.x.index(0.5)
    assert curve.lines["precision"][at] == metrics["precision_at_50"]
    assert curve.lines["recall with class"][at] == metrics["recall_at_50_with_type"]
    assert curve.lines["recall"][at + 1] == pytest.approx(1 / 2)  # at 0.55 the half is no longer enough


def test_nothing_found_leaves_no_precision_line(record_of: Any) -> None:
    curve = iou_curve([record_of([("spot", BOX)], [])])
    assert curve is not None
    assert set(curve.lines) == {"recall", "recall with class"}
    assert iou_curve([record_of([], [])]) is None


def test_threshold_curve_ends_where_nothing_is_found(counts: SeverityCounts) -> None:
    sweep = counts.sweep()
    curve = threshold_curve(sweep, chosen=3.0)
    assert is_drawable(curve)
    assert len(curve.x) <= MAX_POINTS
    assert (curve.x[0], curve.marked_x) == (0.0, 3.0)
    assert 8.5 < curve.x[-1] < 9.0  # severities reach just under 9 of the 12
    assert threshold_curve(sweep).marked_x == sweep.best
    index = sweep.thresholds.index(curve.x[40])
    assert curve.lines["F1"][40] == sweep.f1[index]


def test_precision_recall_ends_with_every_pixel(counts: SeverityCounts) -> None:
    curve = precision_recall_curve(counts)
    assert is_drawable(curve)
    assert curve.x[-1] == 1.0
    assert curve.lines["precision"][-1] == pytest.approx(counts.hits[0] / 900)
    assert list(curve.x) == sorted(curve.x)


def test_roc(record_of: Any) -> None:
    records = [record_of([("spot", BOX)], score=0.9), record_of([("spot", BOX)], score=0.2)]
    records += [record_of([], score=0.3), record_of([], score=1.0), record_of([], score=None)]
    curve = roc_curve(records)
    assert curve is not None
    assert is_drawable(curve)
    area = np.trapezoid(curve.lines["recall"], curve.x)
    assert area == pytest.approx(auroc([0.9, 0.2, 0.3, 1.0], [True, True, False, False]))
    assert roc_curve(records[:2]) is None


def test_thinning_keeps_both_ends() -> None:
    assert thinned(3) == [0, 1, 2]
    assert (thinned(1000)[0], thinned(1000)[-1], len(thinned(1000))) == (0, 999, MAX_POINTS)
    assert thinned(0) == []
