"""What users can set: each setting of a method in words, by group, and what each preset changes."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from blemish.methods.contract import Group, MethodSettings

SIGNS: Mapping[str, str] = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
PLAIN: Mapping[Any, str] = {int: "whole number", float: "number", str: "text", bool: "true or false"}
MANY: Mapping[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}
FOR_TESTS = "tiny"  # a preset that is none for users


@dataclass(frozen=True)
class Setting:
    """A setting in words.

    values: what it may be; group: title of the settings around it
    presets: value by name of each preset that changes it; main: whether it is one of those to try first
    """

    name: str
    description: str
    values: str
    default: Any
    group: str
    presets: Mapping[str, Any]
    main: bool


def settings_of(settings_type: type[MethodSettings]) -> tuple[Setting, ...]:
    """Settings in the order of their groups, a method's own before those that every method has."""
    presets, usual = preset_changes(settings_type), settings_type().model_dump()
    main = settings_type.main_settings
    return tuple(
        Setting(
            name,
            " ".join((field.description or "").split()),
            in_words(field.annotation, field.metadata),
            usual[name],
            group,
            {preset: changed[name] for preset, changed in presets.items() if name in changed},
            name in main,
        )
        for name, field, group in grouped(settings_type)
    )


def main_settings_of(settings_type: type[MethodSettings]) -> tuple[Setting, ...]:
    """Settings to try first, the most important first."""
    by_name = {setting.name: setting for setting in settings_of(settings_type)}
    return tuple(by_name[name] for name in settings_type.main_settings)


def grouped(settings_type: type[MethodSettings]) -> Iterator[tuple[str, FieldInfo, str]]:
    """Name, field and title of its group, of each setting; those of base classes come last."""
    fields, group = settings_type.model_fields, ""
    titled = []
    for name, field in fields.items():
        group = next((part.title for part in field.metadata if isinstance(part, Group)), group)
        titled.append((name, field, group))
    inherited = {name for base in settings_type.__mro__[1:] for name in getattr(base, "__annotations__", {})}
    own = settings_type.__annotations__
    yield from (entry for entry in titled if entry[0] in own)
    yield from (entry for entry in titled if entry[0] in inherited and entry[0] not in own)


def preset_changes(settings_type: type[MethodSettings]) -> dict[str, dict[str, Any]]:
    """Values that differ from the default preset's, by name of the preset and of the setting."""
    field = settings_type.model_fields.get("preset")
    if field is None:
        return {}
    usual = settings_type().model_dump()
    changes = {}
    for preset in get_args(field.annotation):
        values = settings_type.model_validate({"preset": preset}).model_dump()
        changes[preset] = {
            name: value for name, value in values.items() if value != usual[name] and name != "preset"
        }
    return {preset: values for preset, values in changes.items() if preset != FOR_TESTS}


def in_words(annotation: Any, metadata: Any = (), *, plain: Mapping[Any, str] = PLAIN) -> str:
    """Type and range of a setting, such as "whole number ≥ 1, or null". plain: words for single types"""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return in_words(arguments[0], arguments[1:], plain=plain)
    if origin in (Union, types.UnionType):
        kinds = [in_words(kind, metadata) for kind in arguments if kind is not type(None)]
        return ", or ".join(kinds + ["null"] * (type(None) in arguments))
    if origin is Literal:
        *most, last = map(in_yaml, arguments)
        return f"{', '.join(most)} or {last}"
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} × "
        return f"list of {count}{in_words(arguments[0], plain=MANY)}"
    return f"{plain[annotation]} {' and '.join(bounds_in(metadata))}".rstrip()


def bounds_in(metadata: Any) -> Iterator[str]:
    """Bounds among the metadata of an annotation, such as "≥ 1"; a `Field` inside it holds its own."""
    parts = (inner for outer in metadata for inner in getattr(outer, "metadata", (outer,)))
    for part in parts:
        yield from (f"{sign} {getattr(part, name):g}" for name, sign in SIGNS.items() if hasattr(part, name))


def in_yaml(value: Any) -> str:
    """Value as --set takes it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(in_yaml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
