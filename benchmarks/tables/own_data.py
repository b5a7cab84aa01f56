"""Data of the user's own: whether --data is a dataset instead of the folder of all, and splits for it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tables.experiment import Split
from blemish.dataset.layouts import choose_layout, find_source
from blemish.dataset.product_sets.makers import PRODUCTS
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.split import By, split_dataset
from blemish.errors import BlemishError


def is_one_dataset(folder: Path) -> bool:
    """Whether the folder itself is read as a dataset, and is neither several nor where public sets lie."""
    if holds_public_sets(folder):
        return False
    try:
        layout, _ = choose_layout(find_source(folder, False), None)
    except BlemishError:
        return False
    return layout != "products"


def holds_public_sets(folder: Path) -> bool:
    """Whether any of the sets that the tables are measured on lies in it."""
    return any((folder / name).is_dir() for name in PRODUCTS)


def newly_split(dataset: Dataset, split: Split) -> Dataset:
    """The dataset split by the table's shares; groups stay whole where there are any and it names nothing."""
    usual: By = "group" if any(sample.group for sample in dataset) else "content"
    return split_dataset(dataset, test=split.test, val=split.val, by=split.by or usual, seed=split.seed)
