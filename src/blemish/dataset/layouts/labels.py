"""The `labels` layout: image folders whose names are the labels, `0`/`1` or `good`/`bad` or defect names.

Folders of the clean names hold clean images; `1`, `bad` and the like are class 'defect', others are classes.
Masks, in folders like `mask/<label>/` or beside the images, show where the defects are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blemish.dataset.account import SHOWN, number, remark
from blemish.dataset.layouts.common import (
    Contents,
    Source,
    Tree,
    collect,
    grouped,
    parent,
    split_of_path,
    stem,
)
from blemish.dataset.layouts.label_names import (
    DEFECT_NAMES as DEFECT_NAMES,  # noqa: PLC0414 - readers of labels ask here
)
from blemish.dataset.layouts.label_names import (
    class_label,
    is_clean,
    is_defective,
    label_folder,
    means_good,
    refuse_doubtful_names,
)
from blemish.dataset.layouts.lot_names import say_lots
from blemish.dataset.layouts.mask_index import MaskIndex, find_masks, image_facts
from blemish.dataset.layouts.unlabelled import by_rule
from blemish.dataset.mask_files import MaskFacts, mask_facts
from blemish.dataset.mask_sets.mask_set import MaskReadings
from blemish.dataset.mask_sets.read import read_masks
from blemish.dataset.samples import Annotation, Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError

MAX_DRAWN = 8  # values of a mask in black and white, or with a few classes


def detect(tree: Tree) -> str | None:
    """Every image lies in a folder of a label, one of which means clean or defective, or all are good."""
    names = {label_folder(file) for file in find_masks(tree).photographs}
    if alone := good_alone(tree.root, names):
        return alone
    if "" in names or len(names) < 2 or not any(is_clean(name) or is_defective(name) for name in names):
        return None
    shown = sorted(name.lower() for name in names)
    return f"the folders {', '.join(shown[:8])} hold images and name their label"


def good_alone(root: Path, names: set[str]) -> str:
    """Reason why images in folders of these names are good ones alone; "" where they are not."""
    if names and all(map(means_good, names)):
        return f"every image lies in a folder whose name means clean: {', '.join(sorted(names)[:8])}"
    own = root.resolve().name
    if means_good(own) and (names == {""} or (names and say_lots([*names]))):
        return f"the folder's own name, {own}, means clean"
    return ""


def label_of(source: Source, file: str) -> str:
    """Name that labels an image: its folder's, or that of the whole folder where all images are good."""
    name, own = label_folder(file, source.settings), source.root.resolve().name
    whole = source.settings.clean is None and means_good(own)
    return own if whole and (not name or say_lots([name])) else name


def read(source: Source) -> Contents:
    index = find_masks(source.tree)
    index.refuse_doubtful(source)
    names = {file: label_of(source, file) for file in index.photographs}
    refuse_doubtful_names(names.values(), source.settings, source.root)
    refuse_hidden_masks(source, index)
    unnamed = [file for file, name in names.items() if not name]
    rule = source.settings.unlabelled
    facts, skipped = collect(
        [file for file in index.photographs if names[file] or rule not in ("clean", "leave-out")],
        lambda file: (file, image_facts(source, file, index.of(file))),
        name=str,
        skip=source.skip_broken,
    )
    readings = read_masks(
        [fact for _, these in facts for fact in these], source.settings, source.root, one_class=True
    )
    samples, unlabelled = collect(
        facts, lambda item: labelled(source, *item, readings), name=lambda i: i[0], skip=source.skip_broken
    )
    labels = {annotation.label for sample in samples for annotation in sample.annotations}
    read = frozenset(mask for masks in index.masks_of.values() for mask in masks)
    lines = (*readings.warnings, *without_place(samples, index), *without_clean(samples, source))
    contents = Contents(
        tuple(samples), tuple(sorted(labels)), {**skipped, **unlabelled}, read, index.left_out, warnings=lines
    )
    return by_rule(contents, source, unnamed) if rule in ("clean", "leave-out") else contents


def refuse_hidden_masks(source: Source, index: MaskIndex) -> None:
    """Raise BlemishError for a folder of masks whose name does not say so: files named like those of another.

    A few files of each such folder are decoded.
    """
    by_folder = grouped(index.photographs, parent)
    stems = {folder: {stem(file) for file in files} for folder, files in by_folder.items()}
    few: dict[str, bool] = {}
    for folder, files in by_folder.items():
        others = [other for other in by_folder if other != folder and stems[folder] <= stems[other]]
        if not others:
            continue
        for name in (folder, others[0]):
            shown = by_folder[name][:SHOWN]
            few[name] = few[name] if name in few else all(is_drawn(source, file) for file in shown)
        if few[folder] and not few[others[0]]:
            raise BlemishError(
                f"{source.root / files[0]} must be a photograph. Received: black and white drawings in "
                f"'{folder}', named like the images in '{others[0]}'. Rename the folder to 'mask' where they "
                "are masks."
            )


def is_drawn(source: Source, file: str) -> bool:
    """True for an image with a few exact values, as a mask has them; False for what cannot be read."""
    try:
        facts = mask_facts(source.root / file)
    except BlemishError:
        return False
    return facts.is_exact and not facts.photograph and len(facts.values or facts.colours) < MAX_DRAWN


def labelled(source: Source, file: str, facts: tuple[MaskFacts, ...], readings: MaskReadings) -> Sample:
    """Sample of the label that its folder names, with the places that its masks mark."""
    name = label_of(source, file)
    if not name:
        raise BlemishError(
            f"{source.root / file} must lie in a folder named after its label. Received: none. Move it, or "
            f"put 'unlabelled: clean' (or 'leave-out') into {SETTINGS_NAME}."
        )
    sample = Sample(source.root / file, file, split=split_of_path(file))
    return placed(sample, name, class_label(name, source.settings), facts, readings, source)


def placed(
    sample: Sample,
    folder: str,
    label: str,
    facts: tuple[MaskFacts, ...],
    readings: MaskReadings,
    source: Source,
) -> Sample:
    """The sample with its label, unless the folder means clean, and with the places that its masks mark.

    Each of several masks is a defect of its own. Raises BlemishError where a clean image has a marked mask.
    """
    marks = [(fact, mark) for fact in facts for mark in readings.of(fact.path)]
    if is_clean(folder, source.settings):
        if marks:
            raise BlemishError(
                f"{marks[0][0].path} must be empty, as its image lies in '{folder}', which means clean. "
                "Received: marked pixels. Correct the mask or move the image."
            )
        return sample
    several = len(facts) > 1
    marked = tuple(
        Annotation(
            label,
            mask=replace(mark.mask, whole=mark.mask.whole or several),
            id=mark.id or (stem(fact.path.name) if several else ""),
        )
        for fact, mark in marks
    )
    return replace(sample, annotations=marked or (Annotation(label),))


def without_clean(samples: list[Sample], source: Source) -> list[str]:
    """Line where no folder means clean, as where one that does has another name."""
    if source.settings.clean is not None or not samples or not all(s.is_defective for s in samples):
        return []
    names = sorted({label_folder(sample.id) for sample in samples})
    return [remark(names, "folder", f"none means clean; 'clean:' of {SETTINGS_NAME} names those that do")]


def without_place(samples: list[Sample], index: MaskIndex) -> list[str]:
    """Lines on defective images whose place is not known, in a dataset where masks show that of others."""
    unplaced = [s.id for s in samples if s.is_defective and not any(a.has_place for a in s.annotations)]
    lines = []
    for ids, what in (
        ([i for i in unplaced if index.of(i)], "an empty mask"),
        ([i for i in unplaced if index.masks_of and not index.of(i)], "no mask"),
    ):
        if ids:
            more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
            lines.append(
                f"{number(len(ids), 'image')} in folders of defects with {what} "
                f"({', '.join(ids[:SHOWN])}{more}): read as defective, without a place."
            )
    return lines
