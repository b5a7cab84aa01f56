"""Pixel metrics of the final decision: pooled counts, exact and with a tolerance.

Counts are added up over images before precision, recall, F1 and IoU are taken; a share of nothing is None.
Source: He & Liu 2020, section IV-A.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.evaluation.records import PixelCounts


@dataclass(frozen=True)
class Agreement:
    """Two pairs of counts: of what was found, how much is right; of what is true, how much was found."""

    right: int
    found: int
    recalled: int
    true: int

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.right + other.right,
            self.found + other.found,
            self.recalled + other.recalled,
            self.true + other.true,
        )

    @property
    def precision(self) -> float | None:
        return ratio(self.right, self.found)

    @property
    def recall(self) -> float | None:
        return ratio(self.recalled, self.true)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; 0 where one is 0 or undefined, None where both are."""
        precision, recall = self.precision, self.recall
        if precision is None and recall is None:
            return None
        if not precision or not recall:
            return 0.0
        return 2 * precision * recall / (precision + recall)


NO_AGREEMENT = Agreement(0, 0, 0, 0)


def ratio(part: float, whole: float) -> float | None:
    """part / whole as a plain float, None when the whole is 0."""
    return float(part) / float(whole) if whole else None


def pixel_counts(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> PixelCounts:
    """Exact counts of one image. found, truth: [H, W]"""
    tp = int(np.count_nonzero(found & truth))
    fp = int(np.count_nonzero(found)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    return PixelCounts(tp, fp, fn, found.size - tp - fp - fn)


def agreement_of(counts: PixelCounts) -> Agreement:
    """The same counts as an agreement without tolerance."""
    return Agreement(counts.tp, counts.tp + counts.fp, counts.tp, counts.tp + counts.fn)


def tolerant_agreement(found: NDArray[np.bool_], truth: NDArray[np.bool_], tolerance_px: float) -> Agreement:
    """Found pixels within a distance of truth, and true pixels within that distance of what was found.

    found, truth: [H, W]; tolerance_px: Euclidean, between pixel centres, inclusive
    """
    found, truth = cropped_to_marks(found, truth)
    return Agreement(
        right=count_near(found, truth, tolerance_px),
        found=int(np.count_nonzero(found)),
        recalled=count_near(truth, found, tolerance_px),
        true=int(np.count_nonzero(truth)),
    )


def cropped_to_marks(
    found: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Both cut to the rectangle that holds every marked pixel; no distance between marks changes."""
    either = found | truth
    rows, columns = np.flatnonzero(either.any(axis=1)), np.flatnonzero(either.any(axis=0))
    if not len(rows):
        return found[:0, :0], truth[:0, :0]
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return found[window], truth[window]


def count_near(pixels: NDArray[np.bool_], target: NDArray[np.bool_], tolerance_px: float) -> int:
    """How many of `pixels` have a pixel of `target` within the tolerance."""
    if not pixels.any() or not target.any():
        return 0
    distance = cv2.distanceTransform((~target).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return int(np.count_nonzero(pixels & (distance <= tolerance_px + 1e-3)))  # distances are roots in float32
