from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blemish.errors import BlemishError
from blemish.exporting.metric import MetricDrop, measure_drop
from blemish.progress import Reporter

F1, AVERAGE = "defect.f1_at_50_with_type", "detection.map50"


def boxes(f1: float | None, average: float | None) -> dict[str, Any]:
    return {
        "image": {"f1": 1.0},
        "defect": {"f1_at_50_with_type": f1},
        "detection": {"map50": average},
    }


def measured(monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], after: dict[str, Any]) -> MetricDrop:
    """Of a detector whose metrics these are."""
    given = iter((before, after))
    monkeypatch.setattr("blemish.exporting.metric.metrics_of", lambda *_: next(given))
    side: Any = SimpleNamespace(inference=SimpleNamespace(segments=False, classifies=True))
    images: Any = range(7)
    return measure_drop(side, side, images, Reporter(quiet=True), max_drop=0.01)


def test_boxes_that_all_fell_below_the_threshold_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their order is the same, and with it the average precision."""
    found = measured(monkeypatch, boxes(0.8, 0.9), boxes(0.0, 0.9))
    assert (found.name, found.before, found.after, found.images) == (F1, 0.8, 0.0, 7)
    assert found.failures


def test_a_detector_sure_of_nothing_is_measured_by_its_average_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert measured(monkeypatch, boxes(0.0, 0.5), boxes(0.0, 0.4)).name == AVERAGE
    assert measured(monkeypatch, boxes(None, 0.5), boxes(None, None)).after == 0.0
    assert measured(monkeypatch, boxes(0.0, 0.5), boxes(0.0, 0.5)).name == AVERAGE
    assert not measured(monkeypatch, boxes(0.5, 0.5), boxes(0.495, 0.6)).failures


def test_images_without_marks_measure_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BlemishError, match="cannot be measured on the 7 validation images"):
        measured(monkeypatch, boxes(None, None), boxes(None, None))
