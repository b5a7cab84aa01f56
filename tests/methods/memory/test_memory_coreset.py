"""The greedy coreset and the projection, against all subsets and against the definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from blemish.methods.memory.training.coreset import coreset
from blemish.methods.memory.training.whitening import whitening


def radius(points: Tensor, chosen: Tensor | list[int]) -> float:
    """Largest distance of a point to the nearest chosen one."""
    return float(torch.cdist(points, points[chosen]).amin(dim=1).max())


@pytest.mark.parametrize("seed", range(5))
def test_no_point_is_farther_than_twice_the_best_choice_leaves_it(seed: int) -> None:
    points = torch.randn(12, 3, generator=Generator().manual_seed(seed))
    best = min(radius(points, list(subset)) for subset in combinations(range(12), 4))
    chosen = coreset(points, 4, Generator().manual_seed(seed))
    assert best <= radius(points, chosen) <= 2 * best + 1e-5


def test_each_choice_is_the_farthest_from_those_before() -> None:
    points = torch.randn(200, 4, generator=Generator().manual_seed(1))
    chosen = coreset(points, 30, Generator().manual_seed(2))
    assert len(set(chosen.tolist())) == 30
    for count in (1, 5, 29):
        nearest = torch.cdist(points, points[chosen[:count]]).amin(dim=1)
        assert float(nearest[chosen[count]]) == pytest.approx(float(nearest.max()), rel=1e-3)


def test_few_points_are_all_kept() -> None:
    assert coreset(torch.zeros(3, 2), 5, Generator()).tolist() == [0, 1, 2]


def test_equal_points_are_chosen_once_each() -> None:
    assert sorted(coreset(torch.ones(5, 2), 4, Generator()).tolist())[0] >= 0
    assert len(set(coreset(torch.ones(5, 2), 4, Generator()).tolist())) == 4


def test_whitened_features_are_uncorrelated_and_of_unit_variance() -> None:
    generator = np.random.default_rng(0)
    features = (generator.standard_normal((500, 8)) @ generator.standard_normal((8, 8)) + 5).astype(
        np.float32
    )
    mean, matrix = whitening(torch.from_numpy(features), 8, floor=0)
    white = (features - mean.numpy()) @ matrix.numpy()
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(8), atol=1e-3)


def test_what_is_left_of_fewer_dimensions_varies_most() -> None:
    """Three channels that move together are one component, before one that moves alone."""
    generator = np.random.default_rng(0)
    common, alone = generator.standard_normal((2, 1000, 1))
    features = np.concatenate([common, 2 * common, -common, alone], axis=1).astype(np.float32)
    mean, matrix = whitening(torch.from_numpy(features), 1, floor=0)
    white = ((features - mean.numpy()) @ matrix.numpy())[:, 0]
    assert abs(np.corrcoef(white, common[:, 0])[0, 1]) > 0.999


def test_a_constant_channel_does_no_harm() -> None:
    features = torch.randn(100, 3, generator=Generator().manual_seed(0))
    features[:, 1] = 7
    _, matrix = whitening(features, 3, floor=0.1)
    assert torch.isfinite(matrix).all()
