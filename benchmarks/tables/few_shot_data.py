"""The dataset of a few-shot table: with splits, and few training images of each rare class.

Source: the protocol in TL-SDD's README. Everything is drawn by seed, so that every machine has the same
fingerprint, and support draws name the same boxes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.tables.experiment import Experiment, Split
from benchmarks.tables.own_data import newly_split
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.dataset.splits.split import write_splits
from blemish.errors import BlemishError, nearest_name
from blemish.progress import Reporter
from blemish.training.run import with_validation

SPLIT_FOLDER = "split"


def few_shot_dataset(dataset: Dataset, experiment: Experiment, runs: Path, reporter: Reporter) -> Dataset:
    """The dataset with the splits train, val and test; of rare classes only `rare_images` train.

    Splits that the data has are kept. Those made here are also written to RUNS/split, by reference, so that
    `blemish evaluate --data` can be given the same. Raises BlemishError for a class that the data has not.
    """
    assert experiment.classes is not None
    classes, split = experiment.classes, experiment.split
    for name in (*classes.common, *classes.rare):
        refuse_unknown(name, dataset)
    whole = dataset
    dataset = with_validation(with_test(dataset, split), split.seed, reporter)
    if experiment.rare_images is not None:
        dataset = with_few(dataset, classes.rare, experiment.rare_images, split.seed)
    if dataset is not whole and not experiment.also and not (runs / SPLIT_FOLDER / SETTINGS_NAME).exists():
        write_splits(dataset, runs / SPLIT_FOLDER)
    return dataset


def with_test(dataset: Dataset, split: Split) -> Dataset:
    """With its own splits; with new ones where it has no test images, or the table says by what to split."""
    if split.by is None and dataset.splits.get("test"):
        return dataset
    return newly_split(dataset, split)


def merged(parts: Mapping[str, Dataset], split: Split) -> Dataset:
    """Several datasets as one, the names of samples, groups and classes behind that of their dataset.

    Only the first one is measured: test images of the others go to no split.
    """
    first, *_ = parts
    samples: list[Sample] = []
    for name, part in parts.items():
        samples += [under(name, sample) for sample in with_test(part, split)]
    dropped = [one.split == "test" and not one.id.startswith(f"{first}/") for one in samples]
    return Dataset(
        root=parts[first].root,
        samples=tuple(
            replace(one, split=None) if drop else one for one, drop in zip(samples, dropped, strict=True)
        ),
        class_names=tuple(f"{name}/{label}" for name, part in parts.items() for label in part.class_names),
        layout="merged",
        reason=f"made of {', '.join(parts)}",
    )


def under(name: str, sample: Sample) -> Sample:
    annotations = tuple(replace(one, label=f"{name}/{one.label}") for one in sample.annotations)
    group = f"{name}/{sample.group}" if sample.group else None
    return replace(sample, id=f"{name}/{sample.id}", annotations=annotations, group=group)


def with_few(dataset: Dataset, rare: Sequence[str], images: int, seed: int) -> Dataset:
    """The dataset with at most `images` training images of each rare class; the others go to no split.

    An image that shows several rare classes stays when any of them draws it.
    """
    kept = {id for name in rare for id in drawn_images(dataset, name, seed)[:images]}
    dropped = {
        sample.id
        for sample in dataset.split("train")
        if sample.id not in kept and any(one.label in rare for one in sample.annotations)
    }
    return dataset.with_splits({one.id: None if one.id in dropped else one.split for one in dataset})


def drawn_images(dataset: Dataset, name: str, seed: int) -> list[str]:
    """Ids of the training images of a class in the order in which they are drawn."""
    ids = sorted(
        sample.id for sample in dataset.split("train") if any(one.label == name for one in sample.annotations)
    )
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return [ids[number] for number in np.random.default_rng([seed, key]).permutation(len(ids))]


def refuse_unknown(name: str, dataset: Dataset) -> None:
    if name not in dataset.class_names:
        raise BlemishError(
            f"The table's classes must be among those of {dataset.root}. Received: '{name}'."
            f"{nearest_name(name, dataset.class_names)} It has {', '.join(dataset.class_names)}."
        )
