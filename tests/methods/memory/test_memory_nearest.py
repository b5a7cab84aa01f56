"""Distances to a memory, against brute force and PatchCore's formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.methods.memory.nearest import PatchMemory, highest, weights
from blemish.methods.memory.positives import REACH, Positives

Floats = NDArray[np.float32]


def drawn(count: int, dimensions: int = 6, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)


def patchcore(patch: Floats, rows: Floats, neighbours: int) -> float:
    """Eqs. 6 and 7 for one patch, number by number."""
    distances = [math.dist(patch, row) for row in rows]
    nearest = min(range(len(rows)), key=distances.__getitem__)
    around = sorted(range(len(rows)), key=lambda other: math.dist(rows[nearest], rows[other]))[:neighbours]
    share = math.exp(distances[nearest]) / sum(math.exp(distances[other]) for other in around)
    return (1 - share) * distances[nearest]


def test_distances_are_those_of_brute_force() -> None:
    rows, patches = drawn(50), drawn(1500, seed=1)
    expected = np.linalg.norm(patches[:, None] - rows[None], axis=2).min(axis=1)
    np.testing.assert_allclose(PatchMemory(rows, 1).distances(patches), expected, rtol=1e-4)


@pytest.mark.parametrize("neighbours", [2, 5, 40])
def test_reweighted_distances_are_patchcores(neighbours: int) -> None:
    rows, patches = drawn(40), drawn(20, seed=1)
    expected = [patchcore(patch, rows, neighbours) for patch in patches]
    np.testing.assert_allclose(PatchMemory(rows, neighbours).distances(patches), expected, rtol=1e-4)


def test_a_weight_by_hand() -> None:
    """Neighbours at distances 1 and 2: 1 − e / (e + e²) = 1 − 1 / (1 + e)."""
    assert weights(np.array([[1.0, 2.0]], np.float32))[0] == pytest.approx(1 - 1 / (1 + math.e))
    assert weights(np.array([[1.0, np.inf]], np.float32))[0] == 1, "nothing is around it"


def test_a_patch_in_the_memory_is_at_exactly_0() -> None:
    rows = 100 + drawn(300, dimensions=64)  # far from the origin, where products round
    assert (PatchMemory(rows, 9).distances(rows) == 0).all()


def test_rows_that_are_left_out_count_as_not_there() -> None:
    rows, patches = drawn(30), drawn(10, seed=1)
    without = np.arange(30) % 3 == 0
    fewer = PatchMemory(rows[~without], 1).distances(patches)
    np.testing.assert_allclose(PatchMemory(rows, 1).distances(patches, without=without), fewer, rtol=1e-4)


def test_distances_do_not_depend_on_what_is_judged_together() -> None:
    memory, patches = PatchMemory(drawn(60), 5), drawn(1030, seed=1)
    together = memory.distances(patches)
    np.testing.assert_allclose(memory.distances(patches[1000:1001]), together[1000:1001], rtol=1e-5)


def test_the_highest_come_first_and_equal_ones_in_their_order() -> None:
    assert highest(np.array([1, 3, 2, 3], np.float32), 3).tolist() == [1, 3, 2]


def test_defective_patches_alarm_within_half_of_the_way_to_a_good_one() -> None:
    memory = PatchMemory(np.zeros((1, 2), np.float32), 1)
    positives = Positives.beside(memory, np.array([[8.0, 0.0]], np.float32))
    assert positives.radii.tolist() == [8 * REACH]
    places = np.array([[8, 0], [6, 0], [4, 0], [3.9, 0], [0, 0]], np.float32)
    np.testing.assert_allclose(positives.alarms(places), [1, 0.75, 0.5, 0, 0], atol=1e-6)


def test_a_defective_patch_that_is_good_as_well_alarms_nowhere() -> None:
    memory = PatchMemory(drawn(5), 1)
    assert not Positives.beside(memory, memory.rows[:1]).alarms(memory.rows).any()
