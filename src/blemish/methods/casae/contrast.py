"""Whether probability maps tell anything: how much higher they are on defects than beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LEAST_CONTRAST = 0.05  # of a map that has learned anything


@dataclass
class Contrast:
    """Mean probability of marked pixels and of all others, over the maps seen."""

    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def seen(
        self, pair: tuple[NDArray[np.float32], NDArray[np.bool_]]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The pair, a map and its mask, as it is."""
        probability, defect = pair
        for number, part in enumerate((~defect, defect)):
            self.sums[number] += probability[part].sum(dtype=np.float64)
            self.counts[number] += np.count_nonzero(part)
        return pair

    @property
    def difference(self) -> float:
        """Marked less others; infinite where one kind was not seen."""
        if not self.counts.all():
            return math.inf
        other, marked = self.sums / self.counts
        return float(marked - other)

    @property
    def flat(self) -> bool:
        """Whether the maps tell marked pixels from others as little as on a training's first plateau."""
        return self.difference < LEAST_CONTRAST
