"""Distance of patches to a memory of good ones, reweighted by how alone the nearest of these is.

Source: Roth et al. 2022 (PatchCore), section 3.3, eqs. 6 and 7. Deviation: every patch is reweighted, not the
image's farthest alone, so that map and score agree.
Letters: P patches, M patches in memory, D dimensions, b neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]

AT_ONCE = 1024  # patches whose distances are worked out together


@dataclass(frozen=True, eq=False)
class PatchMemory:
    """Patches to compare others with. rows: [M, D]; neighbours: b; of fewer rows, all are neighbours"""

    rows: Floats
    neighbours: int

    @cached_property
    def squares(self) -> Floats:
        """Squared norm of each row, [M]."""
        return np.asarray(np.einsum("md,md->m", self.rows, self.rows))

    @cached_property
    def around(self) -> Numbers:
        """Numbers of the rows nearest to each row, itself the first, [M, b]."""
        count = min(self.neighbours, len(self.rows))
        found = np.empty((len(self.rows), count), np.intp)
        for first in range(0, len(self.rows), AT_ONCE):
            squared = self.squared_distances(self.rows[first : first + AT_ONCE])
            places = np.arange(len(squared))
            squared[places, first + places] = -1  # ahead of equal rows
            nearest = np.argpartition(squared, count - 1, axis=1)[:, :count]
            order = np.take_along_axis(squared, nearest, axis=1).argsort(axis=1, kind="stable")
            found[first : first + AT_ONCE] = np.take_along_axis(nearest, order, axis=1)
        return found

    def squared_distances(self, patches: Floats) -> Floats:
        """Squared distance of each patch to each row by a matrix product, [P, M]."""
        squared = patches @ self.rows.T
        squared *= -2
        squared += self.squares
        squared += np.einsum("pd,pd->p", patches, patches)[:, None]
        return np.maximum(squared, 0, out=squared)

    def distances(self, patches: Floats, *, without: NDArray[np.bool_] | None = None) -> Floats:
        """Reweighted distance of each patch to the nearest row, [P].

        patches: [P, D], at least one; without: rows that count as not there, [M], not all of them
        """
        parts = [patches[first : first + AT_ONCE] for first in range(0, len(patches), AT_ONCE)]
        return np.concatenate([self.distances_of_some(part, without) for part in parts])

    def distances_of_some(self, patches: Floats, without: NDArray[np.bool_] | None) -> Floats:
        squared = self.squared_distances(patches)
        if without is not None:
            squared[:, without] = np.inf
        nearest = squared.argmin(axis=1)
        # By differences: a patch that is in the memory is at exactly 0 only so.
        distances = np.asarray(np.linalg.norm(patches - self.rows[nearest], axis=1))
        if self.neighbours == 1:
            return distances
        around = np.sqrt(np.take_along_axis(squared, self.around[nearest], axis=1))
        around[:, 0] = distances
        return distances * weights(around)


def weights(distances: Floats) -> Floats:
    """Weight 1 − exp(d₀) / Σ exp(dᵢ) of each patch, eq. 7; 1 where nothing is around its nearest row.

    distances: [P, b] to the nearest row, and behind it to the rows around that; infinite ones count as absent
    """
    there = np.isfinite(distances)
    most = np.where(there, distances, -np.inf).max(axis=1, keepdims=True)
    raised = np.where(there, np.exp(np.where(there, distances - most, 0)), 0)
    alone = there.sum(axis=1) == 1
    return np.where(alone, 1, 1 - raised[:, 0] / raised.sum(axis=1)).astype(np.float32)


def highest(values: Floats, count: int) -> Numbers:
    """Numbers of the `count` highest values, the highest first; of equal ones the first. values: [n]"""
    return np.argsort(-values, kind="stable")[:count]
