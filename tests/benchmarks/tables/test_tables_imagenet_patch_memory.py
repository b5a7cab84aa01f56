from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from benchmarks.tables import imagenet
from benchmarks.tables.imagenet import coreset, patch_distances


def farthest_first(points: NDArray[np.float64], first: int, count: int) -> list[int]:
    """Greedy choice from the whole matrix of distances."""
    distances, chosen = cdist(points, points), [first]
    while len(chosen) < count:
        chosen.append(int(distances[chosen].min(axis=0).argmax()))
    return chosen


def test_distances_are_those_of_every_pair_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "ROWS", 7)
    generator = np.random.default_rng(1)
    memory, points = generator.normal(size=(30, 6)), generator.normal(size=(20, 6))
    found = patch_distances(torch.from_numpy(points), torch.from_numpy(memory))
    assert np.allclose(found, cdist(points, memory).min(axis=1))


def test_a_remembered_patch_is_no_negative_distance_away() -> None:
    memory = 100 + torch.rand(60, 128)
    distances = patch_distances(memory, memory)
    assert torch.isfinite(distances).all()
    assert float(distances.max()) < 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_core_set_is_chosen_farthest_first(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(50, 5))
    generator = torch.Generator().manual_seed(seed)
    found = coreset(torch.from_numpy(points), 12, projection=5, generator=generator).tolist()
    assert found == farthest_first(points, found[0], 12)


def test_the_core_set_keeps_each_of_few_clusters_and_what_lies_alone() -> None:
    """60 points in three tight clusters and an outlier: four are near all, chosen in a projection too."""
    generator = np.random.default_rng(0)
    centres = 10 * generator.normal(size=(4, 300))
    points = np.concatenate([centre + 0.01 * generator.normal(size=(20, 300)) for centre in centres[:3]])
    points = np.concatenate([points, centres[3:]])
    drawn = torch.Generator().manual_seed(3)
    chosen = coreset(torch.from_numpy(points), 4, projection=32, generator=drawn)
    assert cdist(points, points[chosen.numpy()]).min(axis=1).max() < 1
    assert 60 in chosen.tolist()


def test_a_seed_repeats_the_choice() -> None:
    points = torch.rand(40, 20)
    once, again = (
        coreset(points, 10, projection=4, generator=torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(once, again)
    assert len(set(once.tolist())) == 10
