"""Measure of how much higher probability maps are on defects than beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MIN_CONTRAST = 0.05  # of a map that has learned anything

MapAndMask = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass
class ContrastMeter:
    """Mean probability of marked pixels and of all others, over the maps it was updated with."""

    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def update(self, probability: NDArray[np.float32], defect: NDArray[np.bool_]) -> None:
        """Take in a map and the mask of its marked pixels, [H, W] each."""
        for number, part in enumerate((~defect, defect)):
            self.sums[number] += probability[part].sum(dtype=np.float64)
            self.counts[number] += np.count_nonzero(part)

    def passed_on(self, pairs: Iterable[MapAndMask]) -> Iterator[MapAndMask]:
        """Yield pairs of map and mask as they are, updating with each."""
        for probability, defect in pairs:
            self.update(probability, defect)
            yield probability, defect

    @property
    def difference(self) -> float:
        """Mean of the marked pixels less that of the others; infinite where there are none of one kind."""
        if not self.counts.all():
            return math.inf
        other, marked = self.sums / self.counts
        return float(marked - other)

    @property
    def is_flat(self) -> bool:
        """True where the maps separate defects as little as on a training's first plateau."""
        return self.difference < MIN_CONTRAST
