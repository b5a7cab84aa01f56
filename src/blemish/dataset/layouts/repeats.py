"""Things that a dataset says twice in any layout: annotations of one place, classes of nearly one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from blemish.dataset.layouts.common import Contents, grouped
from blemish.dataset.layouts.identity import folded
from blemish.dataset.samples import Annotation
from blemish.dataset.settings import SETTINGS_NAME


def without_repeats(contents: Contents) -> Contents:
    """Contents in which annotations of the same class and place count once; others are dropped by name."""
    dropped: dict[str, str] = {}
    samples = []
    for sample in contents.samples:
        groups = grouped(range(len(sample.annotations)), partial(place_of, sample.annotations))
        again = [(copy, len(same)) for same in groups.values() for copy in same[1:]]
        for copy, times in again:
            mark = sample.annotations[copy]
            name = f"{sample.id}: {mark.label} {mark.id or copy + 1}"
            dropped[name] = f"marked {times} times with the same class and place, which counts once"
        copies = {copy for copy, _ in again}
        kept = tuple(mark for i, mark in enumerate(sample.annotations) if i not in copies)
        samples.append(replace(sample, annotations=kept) if copies else sample)
    return replace(contents, samples=tuple(samples), dropped={**contents.dropped, **dropped})


def place_of(marks: Sequence[Annotation], number: int) -> object:
    """Key that is equal for annotations of the same class and place; that of an image label is its own."""
    mark = marks[number]
    return replace(mark, id="", contrast=None) if mark.has_place else number


def alike_classes(contents: Contents) -> Contents:
    """Contents with a warning on classes whose names differ in case or spaces alone."""
    groups = grouped(contents.class_names, lambda name: "".join(folded(name).split()))
    lines = (
        f"The classes {' and '.join(same)} differ in case or spaces alone and are read as different. "
        f"Name them alike, or put 'classes: {{{same[1]}: {same[0]}}}' into {SETTINGS_NAME}."
        for same in groups.values()
        if len(same) > 1
    )
    return replace(contents, warnings=(*contents.warnings, *lines))
