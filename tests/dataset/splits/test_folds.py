"""Folds of cross-validation: every image is tested once, groups stay whole, shares hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.dataset.splits.folds import folds_of, write_folds
from blemish.dataset.splits.split import SplitUnit
from blemish.errors import BlemishError


def units(sizes: list[int], *, defective: int) -> tuple[Dataset, list[SplitUnit]]:
    """Units of these sizes, the first `defective` ones defective throughout."""
    found, samples = [], []
    for number, size in enumerate(sizes):
        ids = tuple(f"{number:03}-{place}.png" for place in range(size))
        label = "scratch" if number < defective else "clean"
        found.append(SplitUnit(ids, Counter({label: size})))
        marks = (Annotation("scratch"),) if number < defective else ()
        samples += [Sample(Path(name), name, marks) for name in ids]
    return Dataset(Path("data"), tuple(samples), ("scratch",)), found


def test_each_image_is_tested_once_with_its_group_and_both_kinds_are_shared_out() -> None:
    dataset, groups = units([1, 2, 3] * 40, defective=30)
    folds = folds_of(dataset, 5, val=0.2, units=groups, seed=3)
    tested = [sample.id for fold in folds for sample in fold.split("test")]
    assert sorted(tested) == sorted(sample.id for sample in dataset)
    for fold in folds:
        split_of = {sample.id: sample.split for sample in fold}
        assert all(len({split_of[name] for name in group.ids}) == 1 for group in groups)
        for name, share in (("test", 0.2), ("val", 0.16), ("train", 0.64)):
            part = fold.split(name)
            assert len(part) == pytest.approx(240 * share, abs=3)
            assert sum(sample.is_defective for sample in part) == pytest.approx(60 * share, abs=2)


def test_seed_decides_and_another_one_makes_other_folds() -> None:
    dataset, groups = units([1] * 50, defective=20)
    first, again, other = (folds_of(dataset, 4, units=groups, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert {s.id for s in first[0].split("test")} != {s.id for s in other[0].split("test")}


def test_impossible_folds_are_refused() -> None:
    dataset, groups = units([5, 5, 5], defective=1)
    with pytest.raises(BlemishError, match="at least 2"):
        folds_of(dataset, 1, units=groups, seed=0)
    with pytest.raises(BlemishError, match="needs at least 4 groups"):
        folds_of(dataset, 4, units=groups, seed=0)


def test_folds_read_back_from_folders_of_their_own(tmp_path: Path, tiny_dataset: Dataset) -> None:
    from blemish.dataset.splits.folds import units_of

    folds = folds_of(tiny_dataset, 3, units=units_of(tiny_dataset, "similarity"), seed=0)
    for fold, folder in zip(folds, write_folds(folds, tmp_path), strict=True):
        read = load_dataset(folder)
        assert {s.id: s.split for s in read} == {s.id: s.split for s in fold}
