from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.tables.detector_speed import DetectorSpeedSettings, measure_detector, random_detector
from benchmarks.tables.probe import measured
from benchmarks.tables.speed import random_image

TINY = {"preset": "tiny"}


def settings(**changes: Any) -> DetectorSpeedSettings:
    fields = {"side": 64, "classes": 3, "proposals": "shared", "settings": TINY, "repeats": 2, "seconds": 1}
    return DetectorSpeedSettings.model_validate({**fields, **changes})


@pytest.mark.parametrize("proposals", ["shared", "per_class"])
def test_the_detector_has_the_classes_and_proposals_that_are_timed(proposals: str) -> None:
    inspector = random_detector(settings(proposals=proposals), device="cpu", bfloat16=False)
    raw = inspector.inference.forward(random_image((64, 64), 3), inspector.networks)
    assert raw.shape[1] == 4 + 3
    assert 0 < len(raw) <= 50  # the preset's budget of proposals


def test_figures_are_of_one_image() -> None:
    timed = measure_detector(settings(), "cpu")["fp32"]
    assert timed["images_per_second"] == pytest.approx(1000 / timed["ms"])
    assert 1 <= timed["runs"] <= 2


def test_the_probe_knows_the_kind() -> None:
    figures = measured("detector-speed", settings().model_dump(mode="json"), "cpu")
    assert figures["fp32"]["peak_mib"] > 100
    with pytest.raises(ValidationError):
        measured("speed", settings().model_dump(mode="json"), "cpu")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="proposals"):
        settings(proposals="none")
