"""What is usual at a place: mean and deviation of the distances that good images have there.

Edges of parts and grounds differ more from image to image than what lies inside, and would alarm first.
Letters: n images, h, w places, p places that are told apart, 1 where images keep their resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
PRIOR = 5.0  # images that all places together count for at each
SMOOTH = 1.0  # sigma in places of what is told of neighbouring ones
LEAST_DEVIATION = 0.05  # as a share of the mean over all places


@dataclass(frozen=True)
class GoodDistances:
    """Distances of good images, each by the patches of the others. maps: n of [h, w]

    by_place: whether each place is told apart, which needs maps of one size
    """

    maps: Sequence[Floats]
    by_place: bool

    def usual(self, *, without: int | None = None) -> Floats:
        """Mean and deviation at each place, row by row, [2, p]. without: number of an image to leave out"""
        maps = [each for number, each in enumerate(self.maps) if number != without]
        everywhere = np.concatenate([each.ravel() for each in maps])
        mean, variance = float(everywhere.mean()), float(everywhere.var())
        least = (LEAST_DEVIATION * mean) ** 2 + 1e-12
        if not self.by_place:
            return np.array([[mean], [max(variance, least) ** 0.5]], np.float32)
        stack = np.stack(maps)
        here = smoothed(weighted(stack.mean(0), mean, len(maps)))
        spread = smoothed(weighted(np.square(stack - here).mean(0), variance, len(maps)))
        return np.stack([here.ravel(), np.sqrt(np.maximum(spread, least)).ravel()]).astype(np.float32)


def weighted(here: Floats, everywhere: float, images: int) -> Floats:
    """Values of places, drawn towards that of all, the more the fewer images there are. here: [h, w]"""
    return (images * here + PRIOR * everywhere) / (images + PRIOR)


def smoothed(values: Floats) -> Floats:
    """Gaussian means over neighbouring places. values: [h, w]"""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), SMOOTH, borderType=cv2.BORDER_REFLECT))
