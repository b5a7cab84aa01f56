"""Masks whose colours are classes; those with a palette are marked by their indices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from blemish.arrays import Colour
from blemish.dataset.colours import FLAT_RANGE, SAME_COLOUR, distance, is_coloured, merged, nearest
from blemish.dataset.mask_files import MaskFacts
from blemish.dataset.mask_sets.mask_set import MaskMark, MaskSet, mark
from blemish.dataset.mask_sets.numbers import unknown_value
from blemish.dataset.samples import MaskFile
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError

VOC_VOID: Colour = (224, 224, 192)
NEAR_COLOUR = 32  # distance of the nearest colours of VOC's palette


def coloured_marks(masks: MaskSet) -> tuple[tuple[str, ...], dict[Path, tuple[MaskMark, ...]]]:
    """Class names, and marks of each colour as a class; palette masks are marked by their indices."""
    names = colour_names(masks)
    marks = {f.path: colour_marks(masks, f, names) for f in masks.shown}
    used = {mark.label for these in marks.values() for mark in these}
    own = {*masks.settings.colour_names.values()}
    listed = [label for label in names.values() if label in own or label in used]
    others = sorted(label for label in used if label is not None and label not in listed)
    voids = [f for f in masks.shown if has_void(masks, f)]
    gray = [f for f in masks.shown if not is_coloured(f.colours)]
    masks.warn(gray, "gray, others have colours: white or gray is read as a class of its own")
    masks.warn(voids, "void pixels (VOC's border, or named so), which mark no class", verb="have")
    return tuple(dict.fromkeys([*listed, *others])), marks


def colour_names(masks: MaskSet) -> dict[Colour, str]:
    """Name of each class colour: the user's, the dataset's own, or made of the colour."""
    if masks.names.by_colour:
        return dict(masks.names.by_colour)
    refuse_numbers_alone(masks)
    tallies = [shades(f) for f in masks.shown]
    found = {colour for tally in tallies for colour in tally if colour not in void_colours(masks)}
    indexed = {colour for f in masks.shown if f.kind == "palette" for colour in f.colours}
    faint = [c for c in found - indexed if max(c) <= FLAT_RANGE]
    if faint:
        dark = next(f.path for f, tally in zip(masks.shown, tallies, strict=True) if faint[0] in tally)
        raise BlemishError(
            f"{masks.root}: colours of masks must differ from black. Received: {faint[0]} in {dark.name}. "
            f"Name them in {SETTINGS_NAME}, as in classes: {{'#010000': NAME}}, or save the masks as "
            "palette or gray PNG."
        )
    near = min((distance(a, b) for a in found for b in found if a < b), default=SAME_COLOUR)
    drawn = all(f.is_exact or f.kind == "colour" for f in masks.shown) and NEAR_COLOUR <= near < SAME_COLOUR
    found.discard((0, 0, 0))
    colours = sorted(found) if drawn else sorted(set(merged(tallies)) - void_colours(masks) - {(0, 0, 0)})
    return {colour: "colour-" + "".join(f"{value:02x}" for value in colour) for colour in colours}


def void_colours(masks: MaskSet) -> set[Colour]:
    return {*masks.names.void_colours, VOC_VOID} - {*masks.names.by_colour}


def has_void(masks: MaskSet, facts: MaskFacts) -> bool:
    if facts.kind == "palette":
        return bool(void_indices(masks, facts))
    return bool(void_colours(masks) & facts.colours.keys())


def void_indices(masks: MaskSet, facts: MaskFacts) -> set[int]:
    named = {v for v in facts.values if v < len(facts.palette) and facts.palette[v] in void_colours(masks)}
    return named | ({255} & {*facts.values} - {*masks.names.by_value})


def colour_marks(masks: MaskSet, facts: MaskFacts, names: Mapping[Colour, str]) -> tuple[MaskMark, ...]:
    """Mark for each colour that a mask shows. Raises BlemishError for a colour without a name."""
    if facts.kind == "palette":
        return index_marks(masks, facts, names)
    shown = {
        colour: nearest(colour, list(names)) for colour in shades(facts) if colour not in void_colours(masks)
    }
    unknown = next((colour for colour, match in shown.items() if match is None), None)
    if unknown is not None:
        raise BlemishError(unknown_colour(masks, facts, unknown, names))
    matches = sorted({match for match in shown.values() if match}, key=list(names).index)
    others = [*matches, *(void_colours(masks) & facts.colours.keys())]
    return tuple(
        MaskMark(
            MaskFile(facts.path, colour=c, other_colours=tuple(other for other in others if other != c)),
            names[c],
        )
        for c in matches
    )


def index_marks(masks: MaskSet, facts: MaskFacts, names: Mapping[Colour, str]) -> tuple[MaskMark, ...]:
    """Mark for each index of a palette mask, named by its number or by its colour."""
    voids = void_indices(masks, facts)
    shown = [value for value in facts.values if value not in voids]
    colours = [facts.palette[value] if value < len(facts.palette) else (0, 0, 0) for value in shown]
    marks = []
    for value, colour in zip(shown, colours, strict=True):
        own = colour != (0, 0, 0) and colours.count(colour) == 1
        match = colour if colour in names else nearest(colour, list(names)) if own else None
        by_colour = match and own and (masks.names.by_colour or not masks.settings.value_names)
        label = masks.names.by_value.get(value) or (names[match] if match and by_colour else None)
        if label is None and masks.names.by_colour:
            raise BlemishError(unknown_colour(masks, facts, colour, names))
        if label is None and masks.settings.value_names:
            raise BlemishError(unknown_value(facts, value, masks.names.by_value))
        marks.append(mark(facts, label or f"class-{value}", values=(value,)))
    return tuple(marks)


def unknown_colour(masks: MaskSet, facts: MaskFacts, colour: Colour, names: Mapping[Colour, str]) -> str:
    known = ", ".join(f"{name} {rgb}" for rgb, name in names.items())
    return (
        f"{facts.path} must show known colours only ({known}). Received: {colour}. "
        f"Name it in {SETTINGS_NAME}, as in classes: {{'#{bytes(colour).hex()}': NAME}}, or correct the mask."
    )


def refuse_numbers_alone(masks: MaskSet) -> None:
    """Raise BlemishError for names of values where a mask shows colours."""
    coloured = [f for f in masks.shown if f.kind == "colour" and is_coloured(f.colours)]
    if masks.settings.value_names and coloured:
        shown = ", ".join(f"'#{bytes(colour).hex()}'" for colour in [*coloured[0].colours][:4])
        raise BlemishError(
            f"{masks.root}: 'classes' of {SETTINGS_NAME} must name what the masks show. Received: numbers, "
            f"and colours in {coloured[0].path.name}. Name these instead: {shown}."
        )


def shades(facts: MaskFacts) -> Mapping[Colour, int]:
    """Colours that a mask shows; of a gray one its levels, or its brightest value where it has soft edges."""
    if facts.kind != "gray":
        return facts.colours
    values = facts.values if facts.is_exact else (facts.top,)
    return {(v, v, v): 1 for v in (value * 255 // facts.full for value in values)}
