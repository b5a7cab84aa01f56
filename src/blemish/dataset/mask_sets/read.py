"""Reading the masks of a dataset: photographs are refused, inverted masks told of, the rest is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from blemish.dataset.colours import is_coloured
from blemish.dataset.mask_files import MaskFacts
from blemish.dataset.mask_sets.colour_classes import coloured_marks
from blemish.dataset.mask_sets.gray import gray_marks
from blemish.dataset.mask_sets.mask_set import LIMIT, MaskMark, MaskNames, MaskReadings, MaskSet
from blemish.dataset.settings import SETTINGS_NAME, DatasetSettings
from blemish.errors import BlemishError

FULL_SHARE, MOST_SHARE, BORDER_SHARE = 0.9, 0.75, 0.95  # of an inverted mask's image that is marked


def read_masks(
    facts: Iterable[MaskFacts],
    settings: DatasetSettings,
    root: Path,
    *,
    names: MaskNames | None = None,
    one_class: bool = False,
) -> MaskReadings:
    """Decide what the masks of a set say.

    one_class: the class is known otherwise, so that every value and colour marks it
    Raises BlemishError where they are no masks, or where their values may mean two things.
    """
    found = list(facts)
    masks = MaskSet([f for f in found if not f.is_empty], settings, root, names or MaskNames(), one_class)
    judge_photographs(masks)
    masks.warn(
        [f for f in found if f.is_empty and f.share_above(0)],
        "pixels that are nearly black, alone: they are read as empty",
        verb="have",
    )
    masks.warn(
        [f for f in masks.shown if f.from_alpha],
        "marked in the alpha channel alone: what is opaque there is read as the defect",
    )
    masks.warn(
        [f for f in masks.shown if f.transparent],
        "colours under transparent pixels of the alpha channel: these are read as background",
        verb="have",
    )
    coloured = bool(settings.colour_names) or any(is_coloured(f.colours) for f in masks.shown)
    labels: tuple[str, ...] = ()
    if coloured and not one_class:
        labels, marks = coloured_marks(masks)
    else:
        marks = gray_marks(masks)
    warn_of_inverted(masks, marks)
    used = {label for these in marks.values() for mark in these if (label := mark.label) is not None}
    return MaskReadings(marks, labels or tuple(sorted(used)), tuple(masks.warnings))


def judge_photographs(masks: MaskSet) -> None:
    """Raise BlemishError for masks with a photograph's values; with settings that say how, warn of them."""
    odd = [f for f in masks.shown if f.photograph]
    if not odd:
        return
    if masks.settings.above is not None or masks.settings.mask_values is not None:
        masks.warn(odd, "the values of a photograph: check the files", verb="have")
        return
    raise BlemishError(
        f"{masks.root}: masks must have few values. Received: {masks.named(odd)} with the values of a "
        f"photograph. Replace or remove them, or put 'above: {LIMIT}' into {SETTINGS_NAME} where brighter "
        "pixels do mean defects."
    )


def warn_of_inverted(masks: MaskSet, marks: Mapping[Path, tuple[MaskMark, ...]]) -> None:
    """Warn of masks that mark nearly all of their image."""
    marked = [f for f in masks.shown if marks.get(f.path)]
    shares = {f.path: f.share_above(min(mark.mask.above for mark in marks[f.path])) for f in marked}
    shares |= {f.path: f.share_above(0) for f in marked if marks[f.path][0].mask.values}
    most = [f for f in marked if shares[f.path] >= MOST_SHARE]
    full = [
        f
        for f in marked
        if shares[f.path] >= FULL_SHARE or (shares[f.path] > 0.5 and f.border >= BORDER_SHARE)
    ]
    masks.warn(
        most if 2 * len(most) >= len(marked) else full,
        "nearly all of the image as defect: inverted? A mask is white on black",
        verb="mark",
    )
