"""Rank correlation against SciPy; flips counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from blemish.evaluation.consistency import contrast_metrics, spearman, verdict_flips
from blemish.inspection import Verdict

small = st.integers(0, 5).map(float)


@given(st.lists(st.tuples(small, small), min_size=3, max_size=20))
@settings(deadline=None)
def test_rank_correlation_equals_scipys(pairs: list[tuple[float, float]]) -> None:
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert spearman(first, second) is None
    else:
        assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)


def test_dark_and_light_defects_are_equally_severe() -> None:
    assert contrast_metrics([-30, 10, 20], [9.0, 1.0, 4.0]) == {"spearman": pytest.approx(1.0), "defects": 3}
    assert contrast_metrics([10, 20], [1.0, 2.0])["spearman"] is None


def test_flips_by_hand() -> None:
    ok, review, ng, error = Verdict.OK, Verdict.REVIEW, Verdict.NG, Verdict.ERROR
    flips = verdict_flips([ok, ok, ng, ng], [ok, review, ng, error])
    assert (flips.n, flips.of) == (2, 4)
    assert verdict_flips([], []).share is None
    with pytest.raises(ValueError, match="zip"):
        verdict_flips([ok], [])
