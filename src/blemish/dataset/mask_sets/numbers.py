"""Masks whose values number classes, or single defects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from blemish.dataset.mask_files import MaskFacts
from blemish.dataset.mask_sets.mask_set import MaskMark, MaskSet, mark
from blemish.dataset.samples import MaskFile
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError

INSTANCES_OF_CLASS = 1000  # numbers from here on are class · 1000 + number, as Cityscapes has them
BACKGROUND_NAMES = frozenset({"background", "_background_", "__background__", "bg"})
VOID_NAMES = frozenset({"void", "ignore", "__ignore__", "_ignore_", "ignored", "unlabeled", "unlabelled"})


def value_names(masks: MaskSet) -> dict[int, str]:
    """Names of class numbers, of the dataset's own file or of `classes:`; empty where none are given."""
    if masks.names.by_value:
        return dict(masks.names.by_value)
    order = masks.settings.classes
    if not isinstance(order, tuple) or (len(order) < 2 and masks.settings.mask_values != "classes"):
        return {}
    if order[0].lower() in BACKGROUND_NAMES:
        raise BlemishError(
            f"{SETTINGS_NAME}: 'classes' must name defects only, from value 1 on. Received: '{order[0]}'. "
            "Remove it."
        )
    return dict(enumerate(order, start=1))


def class_marks(masks: MaskSet) -> dict[Path, tuple[MaskMark, ...]]:
    """Marks of class numbers; 255 is void where other masks have lower numbers and it has no name."""
    names = value_names(masks)
    refuse_inexact(masks, "class numbers")
    voids = void_values(masks, names)
    with_void = [f for f in masks.shown if voids & {*f.values}]
    masks.warn(
        with_void,
        f"the value {', '.join(map(str, sorted(voids)))}, which is read as void: it marks no class",
        verb="have",
    )
    marks = {}
    for facts in masks.shown:
        values = [value for value in facts.values if value not in voids]
        if not values:
            raise BlemishError(
                f"{facts.path} must show a class, or be 0 all over. Received: the value {facts.top} alone, "
                f"which is void in the other masks. Correct it, or name the value in {SETTINGS_NAME}."
            )
        marks[facts.path] = tuple(
            mark(facts, class_name(masks, v, names, facts), values=(v,)) for v in values
        )
    return marks


def void_values(masks: MaskSet, names: Mapping[int, str]) -> set[int]:
    lower = any(value < f.full for f in masks.shown for value in f.values)
    white = (255, 255, 255) in masks.names.by_colour
    full = {f.full for f in masks.shown if f.full in f.values and f.full not in names and not white}
    full = full if lower else set()
    return full | masks.names.void_values


def class_name(masks: MaskSet, value: int, names: Mapping[int, str], facts: MaskFacts) -> str:
    if value in names:
        return names[value]
    gray = value * 255 // facts.full
    palette = facts.palette if facts.kind == "palette" else ()
    colour = palette[value] if value < len(palette) else (gray, gray, gray)
    if colour in masks.names.by_colour:
        return masks.names.by_colour[colour]
    if names:
        raise BlemishError(unknown_value(facts, value, names))
    return f"class-{value}"


def unknown_value(facts: MaskFacts, value: int, names: Mapping[int, str]) -> str:
    known = ", ".join(f"{v} {name}" for v, name in names.items())
    return (
        f"{facts.path} must show known values only ({known}). Received: {value}. Correct the mask, or name "
        f"the value in {SETTINGS_NAME}, as in classes: {{{value}: NAME}}."
    )


def instance_marks(masks: MaskSet) -> dict[Path, tuple[MaskMark, ...]]:
    """Marks of single defects by their numbers."""
    refuse_inexact(masks, "numbers of defects")
    return {
        f.path: tuple(
            MaskMark(MaskFile(f.path, values=(v,), whole=True), instance_class(masks, v), str(v))
            for v in f.values
        )
        for f in masks.shown
    }


def instance_class(masks: MaskSet, value: int) -> str | None:
    if value < INSTANCES_OF_CLASS or masks.one_class:
        return None
    kind = value // INSTANCES_OF_CLASS
    return value_names(masks).get(kind, f"class-{kind}")


def refuse_inexact(masks: MaskSet, what: str) -> None:
    """Raise BlemishError for masks with noise or soft edges, which would give false numbers."""
    soft = next((f for f in masks.shown if not f.is_exact), None)
    if soft is not None:
        raise BlemishError(
            f"{soft.path} must hold {what}, without noise or soft edges. Received: "
            f"{'a lossy format' if soft.lossy else 'values along edges'}. Save it as PNG, unscaled."
        )
