"""The dataset of a table: found or made on disk, split, and cut to what its protocol lets a training see.

Everything is drawn by seed, so that every machine has the same fingerprint, and support draws name the same
boxes. Source of the few-shot part: the protocol in TL-SDD's README.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables.schema import Experiment, SplitShares
from blemish.dataset.layouts import LAYOUTS, find_source, load_dataset
from blemish.dataset.layouts.detection import choose_layout
from blemish.dataset.layouts.products import as_product
from blemish.dataset.product_sets.collect import collect_products
from blemish.dataset.product_sets.makers import PRODUCTS
from blemish.dataset.product_sets.products import of_product, refuse_one_sided, refuse_unknown_product
from blemish.dataset.quality.leaks import refuse_leaks
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.dataset.settings_file import read_settings
from blemish.dataset.splits.split import By, split_dataset, write_splits
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError, nearest_name
from blemish.progress import Reporter
from blemish.training.run import with_validation

SPLIT_FOLDER = "split"

# On disk


def synthetic_dataset(folder: Path, arguments: Mapping[str, Any], reporter: Reporter) -> Dataset:
    """The set that these arguments of `synthesise` make, made once in `folder`."""

    def write(draft: Path) -> None:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()
        }
        try:
            synthesise(draft, **values)
        except TypeError as error:
            raise BlemishError(f"synthetic: {error}. See blemish.dataset.synthetic.synthesise.") from error

    return made_once(synthetic_place(folder, arguments), write, reporter, what="synthetic set")


def synthetic_place(folder: Path, arguments: Mapping[str, Any]) -> Path:
    """Its folder, called by a digest of the arguments."""
    return folder / f"data-{digest_of(arguments)}"


def made_collection(folder: Path, data: Path, arguments: Mapping[str, Any], reporter: Reporter) -> Dataset:
    """The collection of products of the sets in `data`, made once in `folder`.

    arguments: of `collect_products`, by name
    """

    def write(draft: Path) -> None:  # as deep as its place: its paths are relative
        try:
            collected = collect_products(draft, data, **arguments)
        except TypeError as error:
            raise BlemishError(f"collection: {error}. See blemish.dataset.product_sets.") from error
        for note in collected.notes:
            reporter.line(note)

    return made_once(collection_place(folder, data, arguments), write, reporter, what="collection")


def collection_place(folder: Path, data: Path, arguments: Mapping[str, Any]) -> Path:
    """Its folder, called by a digest of the arguments and of where its sets lie."""
    return folder / f"products-{digest_of({'data': str(data.resolve()), **arguments})}"


def digest_of(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def made_once(place: Path, write: Callable[[Path], None], reporter: Reporter, *, what: str) -> Dataset:
    """The dataset at `place`, written first where it is not there; of two processes at it, one's is kept."""
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        reporter.line(f"Making the {what} {place}")
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            write(draft)
            if not place.exists():
                draft.rename(place)
                place.chmod(0o755)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return load_dataset(place)


def is_one_dataset(folder: Path) -> bool:
    """True where the folder itself is read as a dataset, and is neither several nor where public sets lie."""
    if holds_public_sets(folder):
        return False
    try:
        layout, *_ = choose_layout(find_source(folder, False), None, LAYOUTS)
    except BlemishError:
        return False
    return layout != "products"


def holds_public_sets(folder: Path) -> bool:
    """True where any of the sets that the tables are measured on lies in it."""
    return any((folder / name).is_dir() for name in PRODUCTS)


def is_of_products(folder: Path) -> bool:
    """True for a folder of products, and not of the public sets that a collection is made from."""
    file = folder / SETTINGS_NAME
    if file.is_file() and read_settings(file).layout == "products":
        return True
    return folder.is_dir() and not holds_public_sets(folder)


# Splits


def newly_split(dataset: Dataset, split: SplitShares) -> Dataset:
    """The dataset split by the table's shares; groups stay whole where there are any and it names nothing."""
    usual: By = "group" if any(sample.group for sample in dataset) else "content"
    return split_dataset(dataset, test=split.test, val=split.val, by=split.by or usual, seed=split.seed)


def few_shot_dataset(dataset: Dataset, experiment: Experiment, runs: Path, reporter: Reporter) -> Dataset:
    """The dataset with the splits train, val and test; of rare classes only `rare_images` train.

    Splits that the data has are kept. Those made here are also written to RUNS/split, by reference, so that
    `blemish evaluate --data` can be given the same. Raises BlemishError for a class that the data has not.
    """
    assert experiment.classes is not None
    classes, split = experiment.classes, experiment.split
    for name in (*classes.common, *classes.rare):
        if name not in dataset.class_names:
            raise BlemishError(
                f"The table's classes must be among those of {dataset.root}. Received: '{name}'."
                f"{nearest_name(name, dataset.class_names)} It has {', '.join(dataset.class_names)}."
            )
    whole = dataset
    dataset = with_validation(with_test(dataset, split), split.seed, reporter)
    if experiment.rare_images is not None:
        dataset = with_few(dataset, classes.rare, experiment.rare_images, split.seed)
    if dataset is not whole and not experiment.also and not (runs / SPLIT_FOLDER / SETTINGS_NAME).exists():
        write_splits(dataset, runs / SPLIT_FOLDER)
    return dataset


def with_test(dataset: Dataset, split: SplitShares) -> Dataset:
    """With its own splits; with new ones where it has no test images, or the table says by what to split."""
    if split.by is None and dataset.splits.get("test"):
        return dataset
    return newly_split(dataset, split)


def merged(parts: Mapping[str, Dataset], split: SplitShares) -> Dataset:
    """Several datasets as one, the names of samples, groups and classes behind that of their dataset.

    Only the first one is measured: test images of the others go to no split.
    """
    first, *_ = parts
    samples: list[Sample] = []
    for name, part in parts.items():
        samples += [under(name, sample) for sample in with_test(part, split)]
    dropped = [sample.split == "test" and not sample.id.startswith(f"{first}/") for sample in samples]
    return Dataset(
        root=parts[first].root,
        samples=tuple(
            replace(sample, split=None) if drop else sample
            for sample, drop in zip(samples, dropped, strict=True)
        ),
        class_names=tuple(f"{name}/{label}" for name, part in parts.items() for label in part.class_names),
        layout="merged",
        reason=f"made of {', '.join(parts)}",
    )


def under(name: str, sample: Sample) -> Sample:
    annotations = tuple(
        replace(annotation, label=f"{name}/{annotation.label}") for annotation in sample.annotations
    )
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
        if sample.id not in kept and any(annotation.label in rare for annotation in sample.annotations)
    }
    return dataset.with_splits(
        {sample.id: None if sample.id in dropped else sample.split for sample in dataset}
    )


def drawn_images(dataset: Dataset, name: str, seed: int) -> list[str]:
    """Ids of the training images of a class in the order in which they are drawn."""
    ids = sorted(
        sample.id
        for sample in dataset.split("train")
        if any(annotation.label == name for annotation in sample.annotations)
    )
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return [ids[number] for number in np.random.default_rng([seed, key]).permutation(len(ids))]


# Products


def product_dataset(dataset: Dataset, experiment: Experiment, reporter: Reporter) -> Dataset:
    """The dataset with the splits train, val and test of each product.

    Splits that a product has are kept; where one lacks a kind of image, as in a set made for learning from
    normal images alone, the product is split anew.
    Raises BlemishError for a target that the data has not, a product with one kind of image alone, and a test
    image of any product that any other one learns from.
    """
    for target in experiment.targets:
        refuse_unknown_product(dataset, target)
    refuse_one_sided(dataset)
    split_of: dict[str, str | None] = {}
    for name in dataset.products:
        part = with_splits(of_product(dataset, name), experiment.split, reporter)
        split_of |= {sample.id: sample.split for sample in part}
    divided = dataset.with_splits(split_of)
    refuse_leaks(divided)
    return divided


def with_splits(product: Dataset, split: SplitShares, reporter: Reporter) -> Dataset:
    """A product with its own splits, or new ones by content and group."""
    if product.splits.get("test"):
        divided = with_validation(product, split.seed, reporter)
        parts = [divided.split(name) for name in ("train", "val", "test")]
        if all({sample.is_defective for sample in part} == {True, False} for part in parts):
            return divided
    return newly_split(product, split)


def with_products(dataset: Dataset, more: Mapping[str, Dataset]) -> Dataset:
    """The dataset with further products; the samples' names are behind theirs."""
    samples = [as_product(sample, name) for name, part in more.items() for sample in part]
    labels = dict.fromkeys(label for part in (dataset, *more.values()) for label in part.class_names)
    return replace(dataset, samples=(*dataset.samples, *samples), class_names=tuple(labels))
