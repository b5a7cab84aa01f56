from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks.tables.imagenet import fitted_rule


def some_images() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """60 features of 8 channels of different scales, a third of them defective and shifted."""
    generator = np.random.default_rng(0)
    defective = np.arange(60) % 3 == 0
    features = generator.normal(size=(60, 8)) + 0.7 * defective[:, None]
    return features * np.geomspace(0.01, 100, 8) + 5, defective


@pytest.mark.parametrize("strength", [0.01, 1.0, 30.0])
def test_the_rule_is_scikit_learns(strength: float) -> None:
    features, defective = some_images()
    scaled = StandardScaler().fit_transform(features)
    expected = LogisticRegression(C=strength, tol=1e-10, max_iter=5000).fit(scaled, defective)
    weight, offset = fitted_rule(features, defective, strength=strength)
    assert np.allclose(features @ weight + offset, expected.decision_function(scaled), atol=1e-3)


def test_a_channel_that_never_changes_counts_for_nothing() -> None:
    features, defective = some_images()
    features[:, 3] = 7.0
    weight, offset = fitted_rule(features, defective, strength=1.0)
    assert weight[3] == 0
    assert np.isfinite([*weight, offset]).all()


def test_separable_images_give_finite_weights() -> None:
    defective = np.arange(10) < 5
    weight, _ = fitted_rule(np.where(defective, 1e3, -1e3)[:, None], defective, strength=1e6)
    assert np.isfinite(weight).all()
    assert weight[0] > 0
