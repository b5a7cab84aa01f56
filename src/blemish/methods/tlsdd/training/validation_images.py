"""Validation images that thresholds can be chosen on: those whose defects are all of the bundle's classes.

Where some class is on none of them, as on circuit boards, each of which shows every class, images that show
other classes as well are taken, too: boxes of those do not count, neither as found nor as missed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from blemish.dataset.samples import Annotation, Dataset, Sample


def with_unlisted_ignored(dataset: Dataset, names: Collection[str]) -> Dataset:
    """Dataset whose validation images tell about every class of `names` that they show.

    Where all that show some class show others besides, marks of those are ignored regions of every class;
    else it is the dataset itself. Images whose other defects have no place stay as they are.
    """
    samples = dataset.split("val").samples
    pure = [sample for sample in samples if labels_of(sample) <= {*names}]
    told = {label for sample in pure for label in labels_of(sample)}
    shown = {label for sample in samples for label in labels_of(sample)} & {*names}
    if shown <= told:
        return dataset
    changed = tuple(
        unlisted_ignored(sample, names) if sample.split == "val" else sample for sample in dataset.samples
    )
    return replace(dataset, samples=changed)


def validation_samples(dataset: Dataset, names: Collection[str]) -> list[Sample]:
    """Validation images whose annotations are all of `names`."""
    return [sample for sample in dataset.split("val").samples if labels_of(sample) <= {*names}]


def labels_of(sample: Sample) -> set[str]:
    """Class names that an image's annotations bear."""
    return {annotation.label for annotation in sample.annotations}


def unlisted_ignored(sample: Sample, names: Collection[str]) -> Sample:
    """The sample with marks of other classes as ignored regions, where it shows one of `names`, too."""
    own = [mark for mark in sample.annotations if mark.label in names]
    others = [mark for mark in sample.annotations if mark.label not in names]
    if not own or not all(mark.has_place for mark in others):
        return sample
    ignored: list[Annotation] = [
        replace(mark, label=name, crowd=True, difficult=False, id="") for mark in others for name in names
    ]
    return replace(sample, annotations=(*own, *ignored))
