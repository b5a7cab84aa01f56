"""Stored curves: read back as they were written, and every fault one line that names the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle import Manifest, Preprocessing
from blemish.errors import BlemishError
from blemish.evaluation.report.heat_chart import heat_chart
from blemish.evaluation.stored import region_choice, regions_in_words, threshold_sweep, training_curve
from blemish.evaluation.sweep import sweep_threshold

BUNDLE = Path("run/bundle")


def manifest(**curves: Any) -> Manifest:
    return Manifest(
        method="severity", class_names=("spot",), preprocessing=Preprocessing(channels=1), curves=curves
    )


@pytest.fixture
def sweep() -> dict[str, Any]:
    severity = np.array([[1.0, 3.0]], np.float32)
    return sweep_threshold([(severity, severity > 2)], [0.0, 2.0, 9.0]).to_json()


def test_a_sweep_is_drawn_up_to_where_it_finds_something(sweep: dict[str, Any]) -> None:
    curve = threshold_sweep(manifest(threshold_sweep=sweep), BUNDLE)
    assert curve is not None
    assert (curve.x, curve.marked_x) == ((0.0, 2.0), 2.0)
    assert curve.lines["precision"] == (0.5, 1.0)


def test_the_first_stage_is_drawn() -> None:
    stages = {"regression": {"step": [1, 2], "loss": [0.5, 0.25]}, "types": {"step": [1], "loss": [3.0]}}
    curve = training_curve(manifest(training=stages), BUNDLE)
    assert curve is not None
    assert (curve.x, dict(curve.lines)) == ((1, 2), {"regression loss": (0.5, 0.25)})


def test_a_method_may_keep_curves_of_its_own() -> None:
    other = manifest(episodes={"accuracy": [[0.1], "any", None]})
    assert threshold_sweep(other, BUNDLE) is None
    assert training_curve(other, BUNDLE) is None
    assert training_curve(manifest(training={}), BUNDLE) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"best": None}, "'best' must be a number"),
        ({"recall": [0.5]}, "lists must be of equal length."),
        ({"mean_iou": [0.1, "high", 0.2]}, "'mean_iou', entry 2, must be a number. Received: 'high'."),
        ({"bests": 3.0}, "unknown key 'bests'"),
    ],
)
def test_a_faulty_sweep_is_one_line(sweep: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(BlemishError) as caught:
        threshold_sweep(manifest(threshold_sweep={**sweep, **change}), BUNDLE)
    assert str(caught.value).startswith("run/bundle: curves.threshold_sweep: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["criterion", "best", "thresholds", "f1"])
def test_a_sweep_without_a_key_is_one_line(sweep: dict[str, Any], name: str) -> None:
    del sweep[name]
    with pytest.raises(BlemishError, match=rf"curves\.threshold_sweep: '{name}' is missing"):
        threshold_sweep(manifest(threshold_sweep=sweep), BUNDLE)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([1], "must be a mapping"),
        ({"regression": {"step": [1]}}, r"'regression\.loss' is missing"),
        ({"regression": {"step": [1], "loss": [0.1, 0.2]}}, "equal length"),
    ],
)
def test_faulty_losses_are_one_line(stages: Any, message: str) -> None:
    with pytest.raises(BlemishError, match=message):
        training_curve(manifest(training=stages), BUNDLE)


@pytest.mark.parametrize(
    ("thresholds", "sentence"),
    [
        ({"severity": 3.0}, "Regions reach severity 3."),
        ({"probability": 0.2, "start": 0.995}, "Regions start at probability 0.995 and grow to 0.2."),
        (
            {"severity": 3.0, "start": 7.2, "min_area": 16.0},
            "Regions start at severity 7.2 and grow to 3 and have at least 16 px.",
        ),
    ],
)
def test_where_regions_start_and_end_is_told(thresholds: dict[str, float], sentence: str) -> None:
    told = manifest().model_copy(update={"thresholds": thresholds})
    assert regions_in_words(told) == (sentence,)
    assert regions_in_words(manifest()) == ()


def test_the_choice_of_regions_is_drawn_with_the_point_that_was_chosen() -> None:
    stored = {
        "grow": 0.2, "start": 0.4, "min_area": 4.0, "levels": [0.2, 0.4], "areas": [0.0, 4.0],
        "f1": [[0.1, 0.6], [None, 0.3]], "f1_of_areas": [0.5, 0.6], "best_f1": 0.6, "chosen_f1": 0.6,
        "standard_error": 0.1, "images": 9, "clean_images": 3, "defects": 7,
    }  # fmt: skip
    drawn = region_choice(manifest(region_choice=stored), BUNDLE)
    assert drawn is not None
    surface, areas = drawn
    assert (surface.marked, surface.values[1]) == ((0, 1), (None, 0.3))
    assert (areas.x, areas.lines, areas.marked_x) == ((0, 4), {"region F1": (0.5, 0.6)}, 4)
    chart = str(heat_chart(surface))
    assert chart.count('class="heat"') == 3 and chart.count('class="heat-mark"') == 1
    assert ">.60</text>" in chart and ">.2</text>" in chart
    assert region_choice(manifest(), BUNDLE) is None
    for change in ({"f1": [[0.1, 0.6]]}, {"f1_of_areas": [0.5]}, {"grow": "low"}):
        with pytest.raises(BlemishError, match=r"run/bundle: curves\.region_choice"):
            region_choice(manifest(region_choice=stored | change), BUNDLE)
