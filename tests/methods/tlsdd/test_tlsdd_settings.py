"""Presets and variants of TL-SDD fill the defaults, and what is given wins over both."""

from __future__ import annotations

from itertools import product

import pytest
from pydantic import ValidationError

from blemish.methods.tlsdd.settings import PRESETS, VARIANTS, TlsddSettings

SWITCHES = "feature_fusion", "two_phase", "reweight", "metric_head"


@pytest.mark.parametrize(("preset", "variant"), [*product(PRESETS, VARIANTS)])
def test_preset_and_variant_fill_their_own_settings(preset: str, variant: str) -> None:
    settings = TlsddSettings(preset=preset, variant=variant)
    values = settings.model_dump()
    assert {name: values[name] for name in VARIANTS[variant]} == VARIANTS[variant]
    assert {name: values[name] for name in PRESETS[preset]} == PRESETS[preset]
    assert TlsddSettings.model_validate_json(settings.model_dump_json()) == settings


def test_rows_of_the_papers_table_are_four_switches() -> None:
    switched = {
        name: tuple(getattr(TlsddSettings(variant=name), one) for one in SWITCHES) for name in VARIANTS
    }
    assert switched == {
        "fr-joint": (False, False, False, False),
        "fr-ff-joint": (True, False, False, False),
        "tl-ff": (True, True, False, False),
        "tl-ff-fr": (True, True, True, False),
        "tl-sdd": (True, True, True, True),
    }


def test_given_settings_win() -> None:
    settings = TlsddSettings(preset="tiny", variant="tl-ff-fr", width=48, feature_fusion=False)
    assert (settings.width, settings.hidden) == (48, 64)
    assert (settings.feature_fusion, settings.reweight, settings.metric_head) == (False, True, False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": ["tiny"]}, "'paper' or 'tiny'"),
        ({"variant": "tl"}, "'tl-ff-fr' or 'tl-sdd'"),
        ({"variant": ["tl-sdd"]}, "'tl-ff-fr' or 'tl-sdd'"),
        ({"variant": "fr-joint", "reweight": True}, "reweight needs two_phase"),
        ({"variant": "fr-joint", "metric_head": True}, "metric_head needs two_phase"),
        ({"common": ("pit",), "rare": ("pit",)}, "must not share a class. Received in both: pit"),
        (
            {"tile": 512, "overlap": 256},
            "overlap must be less than half the tile 512. Received: 256. Use 128.",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TlsddSettings.model_validate(given)
    assert message in str(caught.value)
