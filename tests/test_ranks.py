"""Ranks as scipy's, AUROC as scikit-learn's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from blemish.ranks import auroc, average_ranks

small = st.integers(-5, 5).map(lambda n: n / 2)


@given(st.lists(small, max_size=20))
def test_ranks_equal_scipys(values: list[float]) -> None:
    assert average_ranks(values).tolist() == rankdata(values).tolist()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=2, max_size=20))
@settings(deadline=None)
def test_auroc_is_sklearns(scored: list[tuple[int, int]]) -> None:
    scores, labels = [score / 10 for score, _ in scored], [label for _, label in scored]
    if len(set(labels)) == 2:
        assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    else:
        assert auroc(scores, labels) is None
