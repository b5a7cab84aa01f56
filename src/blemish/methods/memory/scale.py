"""One scale for what the memory and the head say of a patch, and the same in [0, 1].

Each is standardised on good images that it did not learn from, by their highest values; the greater of both
counts, so that a kind of defect that the head never saw still alarms.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from blemish.methods.memory.state import Standard

Values = TypeVar("Values", float, NDArray[np.float32])

SOFTNESS = 6.0  # deviations from the mean at which the value is 3/4
LEAST_SPREAD = 0.02  # deviation as a share of the mean, below which a few images' is not believed


def standard_of(highest: NDArray[np.float64]) -> Standard:
    """Mean and deviation of the highest values of good images, [n], n ≥ 1."""
    mean = float(highest.mean())
    deviation = float(highest.std(ddof=1)) if len(highest) > 1 else 0.0
    return Standard(mean=mean, deviation=max(deviation, LEAST_SPREAD * abs(mean), 1e-3))


def standardised(values: Values, standard: Standard) -> Values:
    """Deviations above the mean."""
    return (values - standard.mean) / standard.deviation


def unusual(distances: NDArray[np.float32], usual: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances of an image's patches as deviations above what is usual at their places.

    distances: [P]; usual: mean and deviation at each, [2, P], or everywhere, [2, 1]
    """
    return np.asarray((distances - usual[0]) / usual[1], np.float32)


def in_unit_range(deviations: Values) -> Values:
    """Deviations as values in [0, 1], 1/2 at the mean of good images' highest; far above none are equal."""
    return 0.5 + 0.5 * deviations / (SOFTNESS + abs(deviations))  # type: ignore[return-value]


def from_unit_range(value: float) -> float:
    """Deviations of a value in (0, 1), the reverse of `in_unit_range`."""
    centred = 2 * value - 1
    return SOFTNESS * centred / (1 - abs(centred))
