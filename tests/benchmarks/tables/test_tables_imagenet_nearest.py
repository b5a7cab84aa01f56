from __future__ import annotations

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from benchmarks.tables.imagenet import nearest_distances


def test_distances_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    memory, points = generator.normal(size=(40, 7)), generator.normal(size=(9, 7))
    expected, _ = NearestNeighbors(n_neighbors=1).fit(memory).kneighbors(points)
    found = nearest_distances(torch.from_numpy(points), torch.from_numpy(memory))
    assert np.allclose(found, expected[:, 0], rtol=1e-5)


def test_a_remembered_point_is_at_zero_even_far_from_the_origin() -> None:
    memory = 1e4 + torch.rand(50, 64)
    assert torch.equal(nearest_distances(memory[7:9], memory), torch.zeros(2))


def test_an_outlier_is_farthest() -> None:
    memory, points = torch.rand(30, 4), torch.rand(10, 4)
    points[6] += 3
    assert int(nearest_distances(points, memory).argmax()) == 6
