"""Folds: even shares of both kinds, whole groups, and single images where groups are no help."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.methods.common.folds import FOLDS, stratified_folds, usable_groups

KINDS = st.lists(st.booleans(), min_size=20, max_size=80)


@given(KINDS)
def test_single_images_are_dealt_out_in_turn_by_kind(defective: list[bool]) -> None:
    fold = stratified_folds(defective, np.arange(len(defective)))
    for kind in (False, True):
        own = fold[np.array(defective) == kind]
        assert own.tolist() == [number % FOLDS for number in range(len(own))]


@given(KINDS, st.integers(1, 12), st.integers(0, 99))
def test_a_group_is_in_one_fold_unless_a_fold_would_lack_a_kind(
    defective: list[bool], number: int, seed: int
) -> None:
    given_groups = np.random.default_rng(seed).integers(number, size=len(defective))
    kept = usable_groups(defective, given_groups.tolist())
    fold = stratified_folds(defective, kept)
    assert all(len(set(fold[kept == group])) == 1 for group in kept)
    if kept.tolist() == given_groups.tolist():
        assert {*zip(fold.tolist(), defective, strict=True)} == {
            (number, kind) for number in range(FOLDS) for kind in (False, True)
        }
    else:
        assert kept.tolist() == list(range(len(defective)))


@pytest.mark.parametrize("size", [2, 3, 7])
def test_shares_of_groups_of_one_size_are_even(size: int) -> None:
    groups = np.repeat(np.arange(40), size)
    defective = groups % 4 == 0  # 10 groups with a defect, 30 without
    fold = stratified_folds(defective, groups)
    assert (np.bincount(fold[defective]) == 2 * size).all()
    assert (np.bincount(fold[~defective]) == 6 * size).all()


def test_where_all_images_are_alike_each_counts_by_itself() -> None:
    defective = [number % 2 == 0 for number in range(30)]
    assert usable_groups(defective, [0] * 30).tolist() == list(range(30))
