"""A preset fills defaults, and what is given wins."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from blemish.methods.common.presets import PresetSettings


class Own(PresetSettings):
    presets: ClassVar = {"paper": {"steps": 7, "width": 3}, "default": {}}

    steps: int = 1
    width: int = 2


@pytest.mark.parametrize(
    ("given", "steps", "width"),
    [
        ({}, 1, 2),
        ({"preset": "paper"}, 7, 3),
        ({"preset": "paper", "width": 9}, 7, 9),
        ({"preset": "tiny"}, 1, 2),
    ],
)
def test_a_preset_replaces_defaults_alone(given: dict[str, Any], steps: int, width: int) -> None:
    own = Own.model_validate(given)
    assert (own.steps, own.width) == (steps, width)
    assert Own.model_validate(own.model_dump(mode="json")) == own


@pytest.mark.parametrize("preset", ["large", 3, None, ["paper"], {"paper": 1}])
def test_an_unknown_preset_is_refused(preset: object) -> None:
    with pytest.raises(ValidationError, match="'quick', 'default', 'thorough', 'paper' or 'tiny'"):
        Own.model_validate({"preset": preset})
