"""Gray masks and palette indices as defects of one class, or by a setting as more.

Every file is judged by itself: 0 and 1 mark as well as 0 and 255. Where the values of the set can mean two
things, such as class numbers or the numbers of defects, a setting is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from blemish.dataset.colours import FLAT_RANGE, is_coloured
from blemish.dataset.mask_files import MAX_EXACT, MaskFacts
from blemish.dataset.mask_sets.mask_set import LIMIT, MaskMark, MaskSet, has_bright, is_bright, is_faint, mark
from blemish.dataset.mask_sets.numbers import class_marks, instance_marks, value_names
from blemish.dataset.samples import MaskFile
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError


def gray_marks(masks: MaskSet) -> dict[Path, tuple[MaskMark, ...]]:
    if masks.settings.above is not None:
        return above_limit(masks, masks.settings.above)
    named = "classes" if masks.settings.value_names and not masks.one_class else ""
    mode = masks.settings.mask_values or named or likely_mode(masks)
    if mode == "classes":
        return class_marks(masks)
    if mode == "instances":
        return instance_marks(masks)
    marks = {f.path: binary_marks(masks, f) for f in masks.shown}
    warn_of_mixture(masks)
    return marks


def above_limit(masks: MaskSet, limit: int) -> dict[Path, tuple[MaskMark, ...]]:
    """Marks of the pixels above the user's limit."""
    marked = [f for f in masks.shown if f.share_above(limit) > 0]
    if masks.shown and not marked:
        top = max(f.top * 255 // f.full for f in masks.shown)
        raise BlemishError(
            f"{masks.root}: masks must have defect pixels above {limit}. Received: values up to {top}. "
            f"Put 'above: 0' (or another limit below {top}) into {SETTINGS_NAME}, or leave 'above' out."
        )
    masks.warn(
        [f for f in masks.shown if f.share_above(limit) == 0],
        f"no pixel above {limit}, the limit set by 'above', and count as empty",
        verb="have",
    )
    return {f.path: (mark(f, above=limit),) for f in marked}


def likely_mode(masks: MaskSet) -> str:
    """Way of reading that the values of the set allow. Raises BlemishError where they allow several."""
    if masks.one_class:
        return "binary"
    exact = [f for f in masks.shown if f.is_exact]
    numbers = sorted({value for f in exact for value in f.values if not is_bright(value, f)})
    if (numbers or any(f.kind == "palette" for f in exact)) and value_names(masks):
        return "classes"
    if exact and len(exact) == len(masks.shown) and len(masks.names.by_value) > 1:
        return "classes"
    both = [f for f in exact if is_faint(f) and has_bright(f)]
    bright = [f for f in masks.shown if not is_faint(f)]
    low = [value for value in numbers if value <= MAX_EXACT]
    if (low and both) or (len(numbers) > 1 and not bright):
        ask(masks, numbers, [f for f in exact if is_faint(f)])
    return "binary"


def ask(masks: MaskSet, numbers: Sequence[int], files: Sequence[MaskFacts]) -> None:
    values = ", ".join(map(str, numbers[:6])) + (" …" if len(numbers) > 6 else "")
    raise BlemishError(
        f"{masks.root}: the values of masks must have one meaning. Received: {values} in "
        f"{masks.named(files)}. "
        f"Put 'classes: {{{numbers[0]}: NAME}}' with a name for each, 'mask_values: instances' (each is a "
        f"defect) or 'mask_values: binary' (all mark defects) into {SETTINGS_NAME}."
    )


def binary_marks(masks: MaskSet, facts: MaskFacts) -> tuple[MaskMark, ...]:
    """Mark of all that a file marks."""
    if facts.kind == "palette":
        return (mark(facts, values=facts.values),)
    if facts.kind == "colour":
        return (any_colour_mark(masks, facts),)
    asked = masks.settings.mask_values == "binary"
    if facts.is_exact and (asked or not has_bright(facts)):
        return (mark(facts, above=0),)
    if not has_bright(facts):
        return faint_marks(masks, facts)
    return (mark(facts, above=LIMIT),)


def any_colour_mark(masks: MaskSet, facts: MaskFacts) -> MaskMark:
    """Mark of a colour mask whatever its colours; one of grays with noise by its luminance."""
    if not is_coloured(facts.colours):
        return mark(facts, above=LIMIT)
    bright = all(max(colour) > LIMIT for colour in facts.colours)
    return MaskMark(MaskFile(facts.path, above=LIMIT if bright else FLAT_RANGE, any_colour=True))


def faint_marks(masks: MaskSet, facts: MaskFacts) -> tuple[MaskMark, ...]:
    """Marks of a mask with noise or soft edges that has no bright pixel: none, where it is noise alone."""
    if facts.top <= facts.above(FLAT_RANGE) and any(f.top > f.above(LIMIT) for f in masks.shown):
        masks.warn([facts], f"noise alone, values up to {facts.top}, and is read as empty", verb="have")
        return ()
    top = facts.top * 255 / facts.full
    raise BlemishError(
        f"{facts.path} must have defect pixels above {LIMIT}, or values without noise. Received: values up "
        f"to {facts.top}. Save it as PNG with 0 and 255, or put 'above: {int(top // 2)}' (or another limit) "
        f"into {SETTINGS_NAME}."
    )


def warn_of_mixture(masks: MaskSet) -> None:
    """Warn of masks that mark with low values beside others with high ones, and of low values left out."""
    plain = [f for f in masks.shown if f.kind == "gray"]
    faint = [f for f in plain if f.is_exact and not has_bright(f)]
    bright = [f for f in plain if has_bright(f)]
    if faint and bright and not masks.settings.mask_values:
        top = max(f.top for f in faint)
        bits = " in 16 bits" if any(f.bits == 16 for f in faint) else ""
        masks.warn(
            faint,
            f"with values up to {top}{bits}, others with high ones: any value but 0 is read as defect",
            verb="mark",
        )
    if masks.settings.mask_values:
        return
    low = [f for f in bright if low_regions(f)]
    values = sorted({value for f in low for value in low_regions(f)})
    masks.warn(
        low,
        f"regions of low values ({', '.join(map(str, values[:6]))}), which are read as background; "
        f"put 'above: 0' or 'mask_values' into {SETTINGS_NAME} where they mean defects",
        verb="have",
    )
    warn_of_several(masks, bright)


def warn_of_several(masks: MaskSet, bright: Sequence[MaskFacts]) -> None:
    """Warn of drawn masks with several high values that could mean classes."""
    exact = [f for f in bright if f.is_exact]
    values = sorted({value * 255 // f.full for f in exact for value in f.levels if is_bright(value, f)})
    apart = [b for a, b in pairwise(values) if b - a > FLAT_RANGE]
    if apart and not masks.one_class:
        masks.warn(
            exact,
            f"with several values ({', '.join(map(str, values))}), all read as defect; put "
            f"'classes: {{{values[0]}: NAME}}' into {SETTINGS_NAME} where each is a class",
            verb="mark",
        )


def low_regions(facts: MaskFacts) -> list[int]:
    """Values that fill regions of a mask but are not bright; those that noise may make are left out."""
    floor = 0 if facts.is_exact else facts.above(FLAT_RANGE)
    return [value for value in facts.levels if floor < value <= facts.above(LIMIT)]
