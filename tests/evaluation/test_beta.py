"""Shares and quantiles against SciPy's, over all that a bound may be asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from blemish.evaluation.beta import beta_quantile, beta_share, student_quantile
from tests.processor_time import assert_takes_less

PARAMETER = st.floats(-0.3, 6).map(lambda power: 10**power)


@given(PARAMETER, PARAMETER, st.floats(1e-6, 1 - 1e-6))
@settings(deadline=None, max_examples=150)
def test_shares_are_scipys(a: float, b: float, share: float) -> None:
    x = float(special.betaincinv(a, b, share))
    assert beta_share(x, a, b) == pytest.approx(float(special.betainc(a, b, x)), rel=1e-7, abs=1e-12)


@given(PARAMETER, PARAMETER, st.sampled_from([0.025, 0.05, 0.5, 0.95, 0.975]))
@settings(deadline=None, max_examples=150)
def test_scipys_share_at_a_quantile_is_the_one_asked_for(a: float, b: float, share: float) -> None:
    """Its own quantiles are at times right to eight digits only: 0.49999999 at a = b = 0.501, share 0.5."""
    assert float(special.betainc(a, b, beta_quantile(share, a, b))) == pytest.approx(share, rel=1e-6)


@pytest.mark.parametrize("of", [1, 2, 3, 10, 97, 1000, 54321, 10**6])
@pytest.mark.parametrize("share_of", [0.0, 1e-6, 0.003, 0.5, 0.97, 1.0])
def test_bounds_of_counts_are_scipys(of: int, share_of: float) -> None:
    n = round(share_of * of)
    for a, b, share in ((n, of - n + 1, 0.05), (n + 1, of - n, 0.95)):
        if a > 0 and b > 0:
            expected = float(special.betaincinv(a, b, share))
            assert beta_quantile(share, a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 29, 400])
@pytest.mark.parametrize("share", [0.6, 0.95, 0.975, 0.9995])
def test_student_quantiles_are_scipys(freedom: int, share: float) -> None:
    assert student_quantile(share, freedom) == pytest.approx(float(special.stdtrit(freedom, share)), rel=1e-9)


def test_outside_the_interval_lies_nothing() -> None:
    assert (beta_share(0.0, 2, 3), beta_share(1.0, 2, 3)) == (0, 1)


def test_a_million_trials_take_less_time_than_to_count_them() -> None:
    assert_takes_less(lambda: beta_quantile(0.95, 500_001, 500_000), lambda: sum(range(1_000_000)), times=1)
