"""Good images with a place unlike any in the others: perhaps a defect that was overlooked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.samples import Sample

SPREADS = 4.0  # robust deviations above the median from which an image is named
NAMED = 5  # images at most
LEAST = 5  # images below which nothing is said


@dataclass(frozen=True)
class Highest:
    """Patch of an image that is farthest from those of the others.

    distance: to the nearest of these; place_xy: its centre as shares of the image's width and height
    """

    distance: float
    place_xy: tuple[float, float]

    @classmethod
    def of(cls, distances: NDArray[np.float32]) -> Highest:
        """The farthest of an image's patches. distances: [h, w]"""
        row, column = np.unravel_index(int(distances.argmax()), distances.shape)
        height, width = distances.shape
        place = (float(column) + 0.5) / width, (float(row) + 0.5) / height
        return cls(float(distances.max()), place)


def notes_on_strangers(samples: Sequence[Sample], highest: Sequence[Highest]) -> tuple[str, ...]:
    """Sentence on good images whose farthest patch lies far beyond that of the others; none where none does.

    samples, highest: of the images, in one order
    """
    if len(samples) < LEAST or len(samples) != len(highest):
        return ()
    logs = np.log([max(each.distance, 1e-6) for each in highest])
    median = float(np.median(logs))
    spread = max(1.4826 * float(np.median(np.abs(logs - median))), 1e-3)
    strange = [
        number for number in np.argsort(-logs, kind="stable") if logs[number] > median + SPREADS * spread
    ]
    if not strange:
        return ()
    named = ", ".join(
        f"{samples[number].id} at {x:.0%} of its width and {y:.0%} of its height"
        for number in strange[:NAMED]
        for x, y in [highest[number].place_xy]
    )
    more = f", and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
    return (
        f"Patches farthest from all others among the good images: {named}{more}. If one of them shows a "
        "defect, move that image out of the good ones and train again: in the memory it passes as good.",
    )
