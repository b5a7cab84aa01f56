from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.tables.pair_speed import PairSpeedSettings, measure_pairs, random_comparer
from benchmarks.tables.probe import measured
from benchmarks.tables.speed import random_image
from blemish.inspection import Verdict


def settings(**changes: Any) -> PairSpeedSettings:
    fields = {"size": [60, 80], "settings": {"preset": "tiny"}, "repeats": 2, "seconds": 1}
    return PairSpeedSettings.model_validate({**fields, **changes})


@pytest.mark.parametrize("align", ["none", "rigid", "nearest"])
def test_an_image_is_compared_with_as_many_references_as_are_set(align: str) -> None:
    chosen = settings(settings={"preset": "tiny", "align": align, "references": 3})
    inspector = random_comparer(chosen, device="cpu", bfloat16=False)
    image = random_image((60, 80), 3)
    assert len(inspector.inference.forward(image, inspector.networks)) == 3
    assert inspector.judge(image, "noise").verdict is not Verdict.ERROR


def test_figures_are_of_one_image() -> None:
    timed = measure_pairs(settings(), "cpu")["fp32"]
    assert timed["images_per_second"] == pytest.approx(1000 / timed["ms"])
    assert 1 <= timed["runs"] <= 2


def test_the_probe_knows_the_kind() -> None:
    figures = measured("pair-speed", settings().model_dump(mode="json"), "cpu")
    assert figures["fp32"]["peak_mib"] > 100


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="side"):
        settings(side=64)
