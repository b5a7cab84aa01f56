"""Pixel metrics of the final decision: pooled counts, exact and with a tolerance in pixels.

Counts are added up over images before precision, recall, F1 and IoU are taken; a ratio over nothing is None.
Source: He & Liu 2020, section IV-A.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.evaluation.records import PixelCounts


@dataclass(frozen=True)
class MatchCounts:
    """Counts behind precision and recall, of pixels, defects or images; sums pool them over images.

    tp_found: right ones among the `n_found` that were found
    tp_true: found ones among the `n_true` that are true; not tp_found where a match is not one to one, as
        within a tolerance
    """

    tp_found: int
    n_found: int
    tp_true: int
    n_true: int

    def __add__(self, other: MatchCounts) -> MatchCounts:
        return MatchCounts(
            self.tp_found + other.tp_found,
            self.n_found + other.n_found,
            self.tp_true + other.tp_true,
            self.n_true + other.n_true,
        )

    @property
    def precision(self) -> float | None:
        """tp_found / n_found in [0, 1]; None where nothing was found."""
        return ratio(self.tp_found, self.n_found)

    @property
    def recall(self) -> float | None:
        """tp_true / n_true in [0, 1]; None where nothing is true."""
        return ratio(self.tp_true, self.n_true)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; 0 where either is 0 or undefined, None where both are."""
        precision, recall = self.precision, self.recall
        if precision is None and recall is None:
            return None
        if not precision or not recall:
            return 0.0
        return 2 * precision * recall / (precision + recall)


NO_MATCHES = MatchCounts(0, 0, 0, 0)


def ratio(part: float, whole: float) -> float | None:
    """part / whole as a plain float, None when the whole is 0."""
    return float(part) / float(whole) if whole else None


def pixel_counts(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> PixelCounts:
    """Exact counts of one image. found, truth: [H, W]"""
    tp = int(np.count_nonzero(found & truth))
    fp = int(np.count_nonzero(found)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    return PixelCounts(tp, fp, fn, found.size - tp - fp - fn)


def match_counts(counts: PixelCounts) -> MatchCounts:
    """Exact pixel counts as match counts; each true positive is right and found at once."""
    return MatchCounts(counts.tp, counts.tp + counts.fp, counts.tp, counts.tp + counts.fn)


def tolerant_match_counts(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], tolerance_px: float
) -> MatchCounts:
    """Counts of found pixels within a distance of the truth, and of true pixels within it of what was found.

    found, truth: [H, W]; tolerance_px: Euclidean, between pixel centres, inclusive
    """
    found, truth = cropped_to_marks(found, truth)
    return MatchCounts(
        tp_found=count_near(found, truth, tolerance_px),
        n_found=int(np.count_nonzero(found)),
        tp_true=count_near(truth, found, tolerance_px),
        n_true=int(np.count_nonzero(truth)),
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
    """Number of `pixels` that have a pixel of `target` within the tolerance. pixels, target: [H, W]"""
    if not pixels.any() or not target.any():
        return 0
    distance = cv2.distanceTransform((~target).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return int(np.count_nonzero(pixels & (distance <= tolerance_px + 1e-3)))  # distances are roots in float32
