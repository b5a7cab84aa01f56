"""Kappa against scikit-learn, its interval by simulation and by a published example."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from blemish.evaluation.annotators.kappa import kappa_of, table_of
from blemish.evaluation.bounds import proportion_bound


@pytest.mark.parametrize("seed", range(6))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    names = ["clean", "dent", "scratch", "never"]
    first = generator.choice(names[:3], 80, p=[0.5, 0.3, 0.2])
    second = np.where(generator.random(80) < 0.7, first, generator.choice(names[:3], 80))
    table = table_of(first.tolist(), second.tolist(), names)
    assert table.sum() == 80 and table[0, 1] == ((first == "clean") & (second == "dent")).sum()
    kappa = kappa_of(table)
    assert kappa.value == pytest.approx(cohen_kappa_score(first, second))
    assert kappa.agreed.n == (first == second).sum()
    assert kappa.low < kappa.value < kappa.high


def test_the_standard_error_of_a_published_table() -> None:
    """Fleiss, Cohen & Everitt 1969, table 1 (shares of 200): kappa 0.429, standard error 0.054."""
    shares = np.array([[0.53, 0.05, 0.02], [0.11, 0.14, 0.05], [0.01, 0.06, 0.03]])
    kappa = kappa_of(np.rint(200 * shares).astype(np.int64))
    assert kappa.value == pytest.approx(0.429, abs=1e-3)
    assert (kappa.high - kappa.value) / 1.96 == pytest.approx(0.054, abs=1e-3)


@pytest.mark.parametrize("share", [0.5, 0.7, 0.85, 0.95, 0.98])
def test_the_interval_holds_the_true_kappa_in_95_of_100_studies(share: float) -> None:
    """Raters who agree on a share of the images at random, on 150 images each time."""
    generator = np.random.default_rng(int(100 * share))
    joint = np.array([[0.6, 0.0], [0.0, 0.4]]) * share + np.full((2, 2), 0.25) * (1 - share)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    true = (np.trace(joint) - rows @ columns) / (1 - rows @ columns)
    inside = 0
    for _ in range(1000):
        kappa = kappa_of(generator.multinomial(150, joint.ravel()).reshape(2, 2))
        inside += kappa.low <= true <= kappa.high
    assert inside / 1000 >= 0.92
    assert share > 0.9 or inside / 1000 <= 0.98, "wider only where hardly anything disagrees"


def test_perfect_agreement_proves_no_more_than_its_number_of_pictures() -> None:
    kappa = kappa_of(np.diag([10, 10]))
    assert (kappa.value, kappa.high, kappa.word) == (1, 1, "good, perhaps fair")
    assert kappa.low == pytest.approx((proportion_bound(20, 20).lower95 - 0.5) / 0.5)
    assert kappa_of(np.diag([100, 100])).low > kappa.low


def test_one_category_alone_and_no_picture_give_none() -> None:
    assert kappa_of(np.array([[9, 0], [0, 0]])).value is None
    assert kappa_of(np.zeros((2, 2), np.int64)).value is None
    assert kappa_of(np.zeros((2, 2), np.int64)).word == "unknown"


def test_chance_and_contradiction() -> None:
    assert kappa_of(np.full((2, 2), 25)).value == pytest.approx(0)
    assert kappa_of(np.array([[0, 10], [10, 0]])).value == pytest.approx(-1)
    assert kappa_of(np.full((2, 2), 25)).word == "poor"


def test_a_good_value_that_may_be_poor_is_told_as_such() -> None:
    few = kappa_of(np.array([[9, 0], [1, 1]]))
    assert few.value is not None and few.low is not None and few.low < 0.4
    assert few.word == "fair, perhaps poor"
    assert kappa_of(np.array([[90, 1], [1, 90]])).word == "good"
