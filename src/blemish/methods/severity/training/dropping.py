"""Choice of the background probability from which stage 4 drops a defect, on the validation images.

Source: He & Liu 2020, section III-A-4, which names no value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

MIN_DROP = 0.5  # where nothing is known of validation defects, and the least that is lossless


@dataclass(frozen=True)
class JudgedRegion:
    """A region that stage 1 found. background: its mean probability; defects: numbers of the marked defects
    that it lies on, none where it is background
    """

    background: float
    defects: frozenset[int]


def lossless_drop(regions: Iterable[JudgedRegion]) -> float:
    """Lowest probability from 0.5 on that drops no region on a defect."""
    return min(1.0, max([MIN_DROP, *(region.background + 1e-3 for region in regions if region.defects)]))


def f1_drop(regions: Sequence[JudgedRegion], num_defects: int) -> float:
    """Probability of the greatest F1: precision of the regions kept, recall of the marked defects.

    It lies midway between the last region that is kept and the first that is dropped; of equal choices it is
    the one that drops less. 0.5 where no region is on a defect.
    num_defects: marked, found or not
    """
    ordered = sorted(regions, key=lambda region: region.background)
    limits = [(one.background + other.background) / 2 for one, other in pairwise(ordered)] + [1.0]
    best, chosen, true = 0.0, MIN_DROP, 0
    found: set[int] = set()
    for kept, (region, limit) in enumerate(zip(ordered, limits, strict=False), 1):
        found |= region.defects
        true += bool(region.defects)
        f1 = harmonic_mean(true / kept, len(found) / max(1, num_defects))
        if limit > region.background and f1 > 0 and f1 >= best:
            best, chosen = f1, limit
    return chosen


def harmonic_mean(first: float, second: float) -> float:
    """Harmonic mean of two numbers in [0, 1]; 0 where one is."""
    return 2 * first * second / (first + second) if first and second else 0.0
