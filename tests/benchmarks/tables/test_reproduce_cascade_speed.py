from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.tables.cascade_speed import CascadeSpeedSettings, measure_cascade, random_cascade
from benchmarks.tables.probe import measured
from benchmarks.tables.speed import random_image
from blemish.images.tiling import planes
from blemish.inspection import Verdict
from blemish.methods.casae.settings import Settings


def settings(**changes: Any) -> CascadeSpeedSettings:
    fields = {"size": [60, 80], "settings": {"preset": "tiny"}, "repeats": 2, "seconds": 1}
    return CascadeSpeedSettings.model_validate({**fields, **changes})


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("cascade", [False, True])
def test_the_networks_run_and_nothing_is_found(tiled: bool, cascade: bool) -> None:
    chosen = settings(settings={"preset": "tiny", "tiled": tiled, "cascade": cascade})
    inspection = random_cascade(chosen, "cpu", False).judge(random_image((60, 80), 1), "noise")
    assert inspection.verdict is Verdict.OK
    assert inspection.defects == ()
    assert inspection.score is not None
    assert 0.2 < inspection.score < 0.8  # of random weights: the map was computed


def test_time_with_defects_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.tables.cascade_speed.UNREACHED", 0.001)
    with pytest.raises(AssertionError, match="without a defect"):
        measure_cascade(settings(), "cpu")


def test_the_precision_is_the_one_asked_for() -> None:
    image = planes(random_image((64, 64), 1))[None]
    single, half = (
        random_cascade(settings(), "cpu", bfloat16).networks["cascade"] for bfloat16 in (False, True)
    )
    assert (single(image) != half(image)).any()
    assert single(image) == pytest.approx(half(image), abs=0.02)


def test_figures_are_of_one_image() -> None:
    timed = measure_cascade(settings(), "cpu")["fp32"]
    assert timed["images_per_second"] == pytest.approx(1 / timed["seconds"])
    assert 1 <= timed["runs"] <= 2


def test_the_probe_knows_the_kind() -> None:
    figures = measured("cascade-speed", settings().model_dump(mode="json"), "cpu")
    assert figures["fp32"]["peak_mib"] > 100


def test_settings_of_the_method_are_checked() -> None:
    with pytest.raises(ValidationError, match="width"):
        random_cascade(settings(settings={"width": 0}), "cpu", False)
    assert Settings().width == 32  # what the table's titles call the default
