"""Annotations that a dataset gives twice, in any layout: they count once, and are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from blemish.dataset.layouts.common import Contents, grouped
from blemish.dataset.samples import Annotation


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
