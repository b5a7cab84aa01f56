"""Comparison of two bundles: exact McNemar against SciPy, flips, rates, and what promotion asks for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.station.comparison import Pair, compared, mcnemar


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=80, deadline=None)
def test_mcnemar_is_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    n = only_a + only_b
    expected = stats.binomtest(only_a, n, 0.5).pvalue if n else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected, abs=1e-12)


def test_table_rates_and_flips_by_hand() -> None:
    pairs = [
        Pair("i1", True, "NG", "NG", 0.9, 0.8),
        Pair("i2", True, "OK", "NG", 0.1, 0.8),
        Pair("i3", True, "REVIEW", "OK", 0.5, 0.1),
        Pair("i4", False, "NG", "OK", 0.9, 0.1),
        Pair("i5", False, "OK", "OK", 0.1, 0.1),
        Pair("i6", None, "OK", "NG", 0.1, 0.9),
        Pair("i7", False, "ERROR", "OK", None, 0.1),
    ]
    doc = compared(pairs)
    assert doc["table"] == {"both_right": 2, "only_a_right": 1, "only_b_right": 3, "both_wrong": 0}
    assert doc["p_value"] == pytest.approx(2 * (1 + 4) / 16)
    assert (doc["a"]["escapes"]["n"], doc["a"]["escapes"]["of"]) == (1, 3)
    assert (doc["b"]["escapes"]["n"], doc["b"]["overkill"]["n"], doc["b"]["overkill"]["of"]) == (1, 0, 3)
    assert doc["a"]["overkill"]["n"] == 2, "an error on a good part is overkill"
    assert [(each["sha256"], each["better"]) for each in doc["flips"]] == [
        ("i2", "b"), ("i3", "a"), ("i4", "b"), ("i6", None), ("i7", "b"),
    ]  # fmt: skip
    assert (doc["images"], doc["labelled"], doc["num_flips"]) == (7, 6, 5)
