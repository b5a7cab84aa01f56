"""Exact bounds against their definition by binomial sums, and against SciPy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from blemish.bundle.manifest import StoredShare
from blemish.evaluation.bounds import ProportionBound, proportion_bound, trials_to_prove


def chance_of_at_most(n: int, of: int, share: float) -> float:
    return sum(math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(n + 1))


def test_zero_of_22_may_be_up_to_12_7_percent() -> None:
    bound = proportion_bound(0, 22)
    assert bound.upper95 == pytest.approx(1 - 0.05 ** (1 / 22))
    assert bound.sentence() == "0 of 22 missed (true rate at most 12.7 %)"
    assert proportion_bound(3, 10).sentence("rejected") == "3 of 10 rejected (true rate at most 60.7 %)"


@given(st.integers(1, 60).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
@settings(deadline=None, max_examples=60)
def test_bounds_are_the_shares_that_make_the_count_a_5_percent_event(counts: tuple[int, int]) -> None:
    n, of = counts
    bound = proportion_bound(n, of)
    assert 0 <= bound.lower95 <= n / of <= bound.upper95 <= 1
    if n < of:
        assert chance_of_at_most(n, of, bound.upper95) == pytest.approx(0.05, abs=1e-9)
    if n > 0:
        assert 1 - chance_of_at_most(n - 1, of, bound.lower95) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(("n", "of"), [(0, 22), (1, 22), (7, 300), (40, 41), (12, 12)])
def test_bounds_equal_scipys(n: int, of: int) -> None:
    bound = proportion_bound(n, of)
    interval = binomtest(n, of).proportion_ci(0.90, method="exact")
    assert (bound.lower95, bound.upper95) == pytest.approx((interval.low, interval.high))


def test_of_no_trials_nothing_is_known() -> None:
    bound = proportion_bound(0, 0)
    assert (bound.lower95, bound.upper95, bound.share) == (0.0, 1.0, None)
    assert bound.sentence() == "0 of 0 missed (nothing is known)"


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02, 0.01])
def test_trials_to_prove_is_the_smallest_number_that_does(share: float) -> None:
    trials = trials_to_prove(share)
    assert proportion_bound(0, trials).upper95 <= share < proportion_bound(0, trials - 1).upper95


def test_a_manifest_holds_a_bound_as_it_is() -> None:
    bound = proportion_bound(2, 9)
    assert ProportionBound.from_json(StoredShare.model_validate(bound.to_json())) == bound
