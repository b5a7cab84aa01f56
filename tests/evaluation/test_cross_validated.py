"""AUROC over folds and repeats against DeLong by pairs, brute force, and simulated draws of images."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.evaluation.cross_validated import (
    FoldScores,
    cross_validated_auroc,
    cross_validated_difference,
)


def scores_of(generator: np.random.Generator, *, folds: int = 1, bad: int = 9, good: int = 17) -> FoldScores:
    defective = np.tile(np.repeat([True, False], [bad, good]), folds)
    scores = generator.integers(0, 12, len(defective)) + 3 * defective
    return FoldScores(scores, defective, np.repeat(np.arange(folds), bad + good), np.arange(len(defective)))


def delong(a: FoldScores, b: FoldScores) -> tuple[float, float]:
    """Difference of two AUROCs and its variance, pair by pair as DeLong et al. write it."""
    parts = []
    for one in (a, b):
        scores, defective = np.asarray(one.scores, float), np.asarray(one.defective, bool)
        wins = np.sign(scores[defective][:, None] - scores[~defective][None]) / 2 + 0.5
        parts.append((wins.mean(), wins.mean(axis=1), wins.mean(axis=0)))
    bad, good = (parts[0][k] - parts[1][k] for k in (1, 2))
    return parts[0][0] - parts[1][0], bad.var() / len(bad) + good.var() / len(good)


def test_one_fold_is_delong() -> None:
    generator = np.random.default_rng(0)
    a, b = scores_of(generator), scores_of(generator)
    found, (mean, variance) = cross_validated_difference([a], [b]), delong(a, b)
    assert found.mean == pytest.approx(mean)
    assert found.half_width == pytest.approx(1.959964 * variance**0.5)


def test_scores_of_different_folds_are_not_ranked_against_each_other() -> None:
    one = scores_of(np.random.default_rng(1), folds=3)
    moved = FoldScores(
        np.asarray(one.scores) * 7 - 100 * np.asarray(one.folds), one.defective, one.folds, one.groups
    )
    assert cross_validated_auroc([moved]) == cross_validated_auroc([one])
    assert cross_validated_difference([moved], [one]).half_width == 0


def test_a_repeat_that_says_the_same_narrows_nothing_and_copies_neither() -> None:
    once = scores_of(np.random.default_rng(2), folds=2)
    width = cross_validated_auroc([once]).half_width
    assert cross_validated_auroc([once] * 3).half_width == pytest.approx(width)
    twice = FoldScores(
        *(np.repeat(np.asarray(v), 2) for v in (once.scores, once.defective, once.folds, once.groups))
    )
    assert cross_validated_auroc([twice]).half_width == pytest.approx(width)


def test_interval_is_as_wide_as_draws_of_other_images_differ() -> None:
    generator = np.random.default_rng(3)
    means, deviations = [], []
    for _ in range(300):
        shared = generator.normal(size=160)
        defective, folds = np.arange(160) % 4 == 0, np.arange(160) // 40
        ours, theirs = (
            FoldScores(
                shared + generator.normal(size=160) / 2 + gain * defective, defective, folds, np.arange(160)
            )
            for gain in (1.6, 1.4)
        )
        found = cross_validated_difference([ours], [theirs])
        means.append(found.mean)
        deviations.append((found.half_width or 0) / 1.96)
    assert np.mean(deviations) == pytest.approx(np.std(means), rel=0.12)


def test_a_fold_of_one_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="fold 1 must hold"):
        cross_validated_auroc([FoldScores([1, 2, 3], [1, 0, 0], [0, 0, 1], [0, 1, 2])])
