"""The dataset of a table of products: each with its own splits, both kinds of image in them, no leak."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.tables.experiment import Experiment, Split
from benchmarks.tables.own_data import holds_public_sets, newly_split
from blemish.dataset.layouts import load_dataset
from blemish.dataset.layouts.products import named
from blemish.dataset.product_sets.collect import collect_products
from blemish.dataset.product_sets.products import of_product, refuse_one_sided, refuse_unknown_product
from blemish.dataset.quality.leaks import refuse_leaks
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME, read_settings
from blemish.errors import BlemishError
from blemish.progress import Reporter
from blemish.training.run import with_validation


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


def with_splits(product: Dataset, split: Split, reporter: Reporter) -> Dataset:
    """One product with its own splits, or new ones by content and group."""
    if product.splits.get("test"):
        divided = with_validation(product, split.seed, reporter)
        if all(has_both_kinds(divided.split(name)) for name in ("train", "val", "test")):
            return divided
    return newly_split(product, split)


def has_both_kinds(dataset: Dataset) -> bool:
    return {sample.is_defective for sample in dataset} == {True, False}


def with_products(dataset: Dataset, more: Mapping[str, Dataset]) -> Dataset:
    """The dataset with further products; the samples' names are behind theirs."""
    samples = [named(sample, name) for name, part in more.items() for sample in part]
    labels = dict.fromkeys(label for part in (dataset, *more.values()) for label in part.class_names)
    return replace(dataset, samples=(*dataset.samples, *samples), class_names=tuple(labels))


def is_of_products(folder: Path) -> bool:
    """Whether the folder is one of products, and not of the public sets that a collection is made from."""
    file = folder / SETTINGS_NAME
    if file.is_file() and read_settings(file).layout == "products":
        return True
    return folder.is_dir() and not holds_public_sets(folder)


def made_collection(folder: Path, data: Path, arguments: Mapping[str, Any], reporter: Reporter) -> Dataset:
    """The collection of the sets in `data`, made once; of two processes at it, one's is kept.

    arguments: of `collect_products`, by name
    """
    place = collection_place(folder, data, arguments)
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        reporter.line(f"Making the collection {place}")
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=folder))
        try:
            collect(draft, data, arguments, reporter)  # as deep as its place: its paths are relative
            if not place.exists():
                draft.rename(place)
                place.chmod(0o755)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return load_dataset(place)


def collection_place(folder: Path, data: Path, arguments: Mapping[str, Any]) -> Path:
    text = json.dumps({"data": str(data.resolve()), **arguments}, sort_keys=True)
    return folder / f"products-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def collect(out: Path, data: Path, arguments: Mapping[str, Any], reporter: Reporter) -> None:
    try:
        collected = collect_products(out, data, **arguments)
    except TypeError as error:
        raise BlemishError(f"collection: {error}. See blemish.dataset.product_sets.") from error
    for note in collected.notes:
        reporter.line(note)
