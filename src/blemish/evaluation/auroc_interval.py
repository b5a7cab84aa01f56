"""Interval of an AUROC from the numbers of images alone.

A score interval: it holds every true value from which what was seen lies within 1.96 standard deviations, so
it keeps to [0, 1] and has a width where scores separate all images. DeLong's and bootstrap intervals are
[1, 1] there, which a few validation images often give.
Source: Newcombe 2006, Statistics in Medicine 25, "Confidence intervals for an effect size measure based on
the Mann–Whitney statistic. Part 2", method 5, with the variance of Hanley & McNeil 1982.
"""

from __future__ import annotations

import math

Z = 1.959963984540054  # two-sided 95 %
HALVINGS = 60


def auroc_interval(value: float, *, defective: int, clean: int) -> tuple[float, float]:
    """Two-sided 95 % interval of an AUROC, in [0, 1].

    value: AUROC of the images; defective, clean: number of images of each kind, from 1
    """
    assert 0 <= value <= 1 and defective > 0 and clean > 0, (value, defective, clean)
    upper_of_mirrored = lower_bound(1 - value, defective, clean)
    return lower_bound(value, defective, clean), 1 - upper_of_mirrored


def lower_bound(value: float, defective: int, clean: int) -> float:
    """Smallest true AUROC that is within `Z` standard deviations of the value."""
    low, high = 0.0, value
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if value - middle > Z * deviation(middle, defective, clean):
            low = middle
        else:
            high = middle
    return low


def deviation(true: float, defective: int, clean: int) -> float:
    """Standard deviation of the AUROC of so many images where its true value is `true`."""
    pairs = (defective + clean) / 2 - 1
    inner = 1 + pairs * (1 - true) / (2 - true) + pairs * true / (1 + true)
    return math.sqrt(true * (1 - true) * inner / (defective * clean))
