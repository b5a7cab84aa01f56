"""Settings in words: ranges, groups and presets."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from blemish.methods import find_method
from blemish.methods.common.presets import PresetSettings
from blemish.methods.contract import Group
from blemish.methods.describe import in_words, in_yaml, preset_changes, settings_of


class PlateSettings(PresetSettings):
    """Settings for these tests."""

    presets: ClassVar = {"paper": {"width": 64, "kinds": ("a",)}, "default": {}, "tiny": {"width": 1}}
    main_settings: ClassVar = ("kinds",)

    width: Annotated[int, Group("Network")] = Field(8, ge=1, le=99)
    """Channels of
    each layer.
    """
    deep: bool = True
    """Whether it is deep."""
    kinds: Annotated[tuple[str, ...], Group("Classes")] = ()
    """Names of the classes."""


def test_a_setting_has_its_docstring_group_presets_and_range() -> None:
    width, deep, kinds, *common = settings_of(PlateSettings)
    assert (width.name, width.description) == ("width", "Channels of each layer.")
    assert (width.values, width.default, width.group) == ("whole number ≥ 1 and ≤ 99", 8, "Network")
    assert (width.presets, width.main) == ({"paper": 64}, False)
    assert (deep.group, deep.values, deep.presets) == ("Network", "true or false", {})
    assert (kinds.group, kinds.values, kinds.main) == ("Classes", "list of texts", True)
    assert kinds.presets == {"paper": ("a",)}
    assert [setting.name for setting in common][:2] == ["device", "precision"]
    assert "Classes" not in {setting.group for setting in common}


@pytest.mark.parametrize(
    ("annotation", "metadata", "words"),
    [
        (int, (), "whole number"),
        (Annotated[float, Field(gt=0, lt=1)], (), "number > 0 and < 1"),
        (float | None, Field(ge=0.5).metadata, "number ≥ 0.5, or null"),
        (Literal["a", "b", "c"], (), "a, b or c"),
        (Literal[1, 3], (), "1 or 3"),
        (tuple[int, ...], (), "list of whole numbers"),
        (tuple[Annotated[int, Field(ge=1)], ...], (), "list of whole numbers ≥ 1"),
        (tuple[float, float], (), "list of 2 × numbers"),
        (str, (), "text"),
    ],
)
def test_types_and_ranges_in_words(annotation: object, metadata: tuple[object, ...], words: str) -> None:
    assert in_words(annotation, metadata) == words


def test_bounds_in_words_are_those_that_are_checked() -> None:
    """At every bound that is named, the value there is accepted or refused as the sign says."""
    field = find_method("casae").settings_type.model_fields["translation"]
    assert in_words(field.annotation, field.metadata) == "number ≥ 0 and < 1"
    check = TypeAdapter(Annotated[field.annotation, *field.metadata])
    assert check.validate_python(0.0) == 0
    with pytest.raises(ValidationError):
        check.validate_python(1.0)


@pytest.mark.parametrize("name", ["casae", "tlsdd", "medetection"])
def test_presets_change_what_their_tables_say(name: str) -> None:
    """Against the settings themselves: default values with those of the table are the preset's."""
    settings_type = find_method(name).settings_type
    changes = preset_changes(settings_type)
    assert "tiny" not in changes and changes["default"] == {}
    paper = settings_type.model_validate({"preset": "paper"})
    usual = settings_type().model_dump()
    assert {**usual, **changes["paper"], "preset": "paper"} == paper.model_dump()
    assert changes["paper"]


def test_values_are_written_as_yaml() -> None:
    assert [in_yaml(value) for value in (None, True, ("a", 1), 2 / 3, 5.0, 1e-4, "x", ())] == [
        "null", "true", "[a, 1]", "0.6667", "5", "0.0001", "x", "[]",
    ]  # fmt: skip
