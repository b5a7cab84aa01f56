"""The interval of an AUROC: its equation, coverage on drawn scores, DeLong's variance for many images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from blemish.evaluation.auroc_interval import auroc_interval
from blemish.ranks import auroc


def hanley_mcneil(true: float, bad: int, good: int) -> float:
    """Standard error with both numbers of pairs equal to their mean, from Q1 and Q2 of the paper."""
    mean = (bad + good) / 2
    q1, q2 = true / (2 - true), 2 * true**2 / (1 + true)
    spread = true * (1 - true) + (mean - 1) * (q1 - true**2) + (mean - 1) * (q2 - true**2)
    return float(np.sqrt(spread / (bad * good)))


@pytest.mark.parametrize(("bad", "good"), [(3, 4), (15, 40), (200, 100)])
@pytest.mark.parametrize("value", [0.03, 0.5, 0.87, 0.99])
def test_both_ends_are_as_far_as_chance_allows(value: float, bad: int, good: int) -> None:
    low, high = auroc_interval(value, defective=bad, clean=good)
    assert 0 <= low < value < high <= 1
    for end in (low, high):
        assert abs(value - end) == pytest.approx(norm.ppf(0.975) * hanley_mcneil(end, bad, good), rel=1e-6)


def test_scores_that_separate_all_images_leave_a_doubt_that_shrinks_with_their_number() -> None:
    few, many = (auroc_interval(1.0, defective=n, clean=n) for n in (5, 50))
    assert few[1] == many[1] == 1.0
    assert 0.5 < few[0] < 0.75 < many[0] < 0.97
    assert auroc_interval(0.0, defective=5, clean=5) == pytest.approx((0.0, 1 - few[0]))


@pytest.mark.parametrize("true", [0.5, 0.8, 0.95])
def test_it_holds_the_true_value_in_about_95_of_100_draws(true: float) -> None:
    """Normal scores of equal spread, whose AUROC is known."""
    rng, distance = np.random.default_rng(0), np.sqrt(2) * norm.ppf(true)
    truth = np.repeat([True, False], [15, 25])
    values = [auroc(rng.normal(size=40) + distance * truth, truth) for _ in range(2000)]
    held = [low <= true <= high for low, high in (auroc_interval(v, defective=15, clean=25) for v in values)]
    assert 0.93 <= np.mean(held) <= 0.985


def test_with_many_images_it_is_that_of_delong() -> None:
    rng = np.random.default_rng(1)
    bad, good = rng.normal(1.2, 1, 400), rng.normal(0, 1, 600)
    value = auroc(np.concatenate([bad, good]), np.repeat([True, False], [400, 600]))
    assert value is not None
    low, high = auroc_interval(value, defective=400, clean=600)
    assert (value - low, high - value) == pytest.approx((1.96 * delong(bad, good),) * 2, rel=0.15)


def delong(bad: NDArray[np.float64], good: NDArray[np.float64]) -> float:
    """Standard error by DeLong, DeLong & Clarke-Pearson 1988, from all pairs."""
    above = (bad[:, None] > good[None]) + 0.5 * (bad[:, None] == good[None])
    parts = (above.mean(axis=1).var(ddof=1) / len(bad), above.mean(axis=0).var(ddof=1) / len(good))
    return float(np.sqrt(sum(parts)))
