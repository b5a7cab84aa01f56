"""Settings whose defaults are filled from a named preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import model_validator

from blemish.methods.contract import Group, MethodSettings


class PresetSettings(MethodSettings):
    """Base of settings with presets: a preset's values replace the defaults, a value that is given wins.

    presets: values by name of the preset; a subclass sets it
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    preset: Annotated[Literal["quick", "default", "thorough", "paper", "tiny"], Group("Preset")] = "default"
    """Named values that stand where none is given, and the time that training may take: quick 5 minutes,
    default 15, thorough 2 hours, on a GPU about a fifth; paper as long as it takes; tiny is for tests.
    """

    @model_validator(mode="before")
    @classmethod
    def fill_defaults(cls, values: Any) -> Any:
        """Complete a mapping of settings before it is validated; anything else is left to pydantic."""
        return cls.completed(values) if isinstance(values, dict) else values

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Given settings with the preset's values where they say nothing. Subclasses add what follows."""
        return {**cls.values_of(cls.presets, given.get("preset", "default")), **given}

    @staticmethod
    def values_of(choices: Mapping[str, Mapping[str, Any]], name: Any) -> Mapping[str, Any]:
        """Values of a choice by name; none for another name or value, which pydantic refuses."""
        return choices.get(name, {}) if isinstance(name, str) else {}
