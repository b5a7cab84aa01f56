"""The gray level that parts an image in two, by each criterion. Letters: h histogram, T level.

Source: Otsu 1979, "A threshold selection method from gray-level histograms"; Kittler & Illingworth 1986,
"Minimum error thresholding".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

GRAYS = 256
LEVEL_VARIANCE = 1 / 12  # of values spread evenly over one level, which is what rounding leaves of them

Level = Callable[[NDArray[np.uint8]], int]  # [H, W] of more than one gray to T: up to it is dark


def otsu_level(values: NDArray[np.uint8]) -> int:
    """The level at which the variance between both sides is greatest."""
    level, _ = cv2.threshold(values, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return int(level)


def kittler_level(values: NDArray[np.uint8]) -> int:
    """The level at which two normal distributions, one for each side, would err least."""
    return int(np.argmin(minimum_error(np.bincount(values.ravel(), minlength=GRAYS))))


def minimum_error(histogram: NDArray[np.int_]) -> NDArray[np.float64]:
    """The criterion J(T) for T = 0 … 254, [255]; infinite where a side is empty.

    histogram: [256] counts. Deviation: variances are those of the rounded values plus that of rounding
    itself, so that a side of a single gray, as of a saturated defect, has a finite J.
    """
    grays = np.arange(GRAYS, dtype=np.float64)
    powers = np.stack([np.ones(GRAYS), grays, grays**2])
    dark: NDArray[np.float64] = np.cumsum(histogram * powers, axis=1)  # [3, 256] sums
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [part_of_criterion(sums, dark[0, -1]) for sums in (dark, dark[:, -1:] - dark)]
    criterion = 1 + parts[0] + parts[1]
    return np.where(np.isfinite(criterion), criterion, np.inf)[:-1]


def part_of_criterion(sums: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    """2 P (ln σ − ln P) of one side at each T. sums: [3, T] of 1, g and g² over its pixels"""
    count, first, second = sums
    share = count / total
    variance = np.maximum(second / count - (first / count) ** 2, 0.0) + LEVEL_VARIANCE
    return share * (np.log(variance) - 2 * np.log(share))


LEVELS: Mapping[str, Level] = {"otsu": otsu_level, "kittler": kittler_level}
