"""Folds of cross-validation: every image is a test image once, in a split of its own for each fold.

Stratified and with groups whole, as a single split is; see `split`. Training and validation images of a fold
are drawn anew from the images outside it. Source: Kohavi 1995, "A study of cross-validation and bootstrap for
accuracy estimation and model selection" (stratified k-fold).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blemish.dataset.samples import Dataset
from blemish.dataset.splits.split import (
    By,
    SplitUnit,
    assign,
    checked_shares,
    content_of,
    fill_empty,
    joined_by,
    make_units,
    write_splits,
)
from blemish.errors import BlemishError


def units_of(dataset: Dataset, by: By | None) -> list[SplitUnit]:
    """Samples that must share a fold, found once for any number of repeats. by: see `split_dataset`"""
    return make_units(dataset, content_of(dataset), joined=joined_by(dataset, by))


def folds_of(
    dataset: Dataset, count: int, *, val: float = 0.2, units: list[SplitUnit], seed: int
) -> tuple[Dataset, ...]:
    """The dataset once for each fold, whose images are "test" there and in no other.

    count: number of folds; val: share of the other images; units: of `units_of`
    seed: of the folds; another one makes a repeat with other folds
    Raises BlemishError for fewer than two folds, or fewer units than folds.
    """
    if count < 2:
        raise BlemishError(f"folds must be at least 2. Received: {count}. Use 5, for example.")
    rest_shares = checked_shares(test=0.0, val=val)
    names = [str(number) for number in range(1, count + 1)]
    shares = dict.fromkeys(names, 1 / count)
    fold_of = fill_empty(assign(units, shares, np.random.default_rng(seed)), units, shares)
    folds = []
    for number, name in enumerate(names):
        rest = [unit for unit in units if fold_of[unit.ids] != name]
        generator = np.random.default_rng([seed, number])
        split_of = fill_empty(assign(rest, rest_shares, generator), rest, rest_shares)
        folds.append(
            dataset.with_splits({i: split_of.get(unit.ids, "test") for unit in units for i in unit.ids})
        )
    return tuple(folds)


def write_folds(folds: tuple[Dataset, ...], out: Path) -> list[Path]:
    """Write each fold to a folder of its own, OUT/fold-1 and so on, as `write_splits` does; returns them."""
    folders = [out / f"fold-{number}" for number in range(1, len(folds) + 1)]
    for fold, folder in zip(folds, folders, strict=True):
        write_splits(fold, folder)
    return folders
