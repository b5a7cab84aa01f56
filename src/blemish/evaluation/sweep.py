"""Sweep of the severity threshold over a set of images, in a single pass over each.

The same counts give the choice of the threshold, its curve, and the precision–recall curve of pixels.
Source: He & Liu 2020, eq. 1 (a pixel is kept when its severity is at least T) and Fig. 16 (T maximises
mean IoU). Open there; here "mean IoU" is the mean over the images with defects of the pixel IoU of each.
Shape letters: H, W, T thresholds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BlemishError
from blemish.evaluation.pixel import MatchCounts

PIXELS_AT_ONCE = 2**20  # put into bins together, so that a huge image needs no huge table of indices
CRITERIA = "mean-iou", "pixel-f1"


@dataclass(frozen=True)
class Sweep:
    """Metrics against the severity threshold.

    thresholds: [T] ascending; metrics: [T], None where undefined
    mean_iou: mean over the images with defects of the pixel IoU of each
    precision, recall, f1: of the pixels of all images, clean ones included
    best: threshold that maximises the criterion, the middle one of a plateau
    best_value: the criterion there
    """

    thresholds: tuple[float, ...]
    mean_iou: tuple[float, ...]
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]
    criterion: str
    best: float
    best_value: float

    def to_json(self) -> dict[str, Any]:
        return {
            "criterion": self.criterion,
            "best": self.best,
            "best_value": self.best_value,
            "thresholds": list(self.thresholds),
            "mean_iou": list(self.mean_iou),
            "precision": list(self.precision),
            "recall": list(self.recall),
            "f1": list(self.f1),
        }


def sweep_threshold(
    maps: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]],
    thresholds: ArrayLike,
    *,
    criterion: str = "mean-iou",
) -> Sweep:
    """Metrics of every severity threshold on validation images, in a single pass over each.

    maps: per image the severity map [H, W] and the truth mask [H, W]; read one at a time
    thresholds: [T] ascending, in the severity's units
    criterion: "mean-iou", the paper's, is blind to clean images; "pixel-f1" is of the pixels of all images,
        so that false alarms on clean ones count
    Raises BlemishError where no image has a defect pixel, a size differs, or a severity is not finite.
    """
    counts = SeverityCounts(thresholds)
    for index, (severity, truth) in enumerate(maps):
        counts.add(severity, truth, name=f"validation image {index + 1}")
    return counts.sweep(criterion)


class SeverityCounts:
    """Counts of pixels, and of defect pixels, that reach each threshold, added up over images."""

    def __init__(self, thresholds: ArrayLike) -> None:
        """thresholds: [T] ascending; kept as float32 like the maps, so that equal values compare as equal"""
        self.thresholds = np.asarray(thresholds, dtype=np.float32)
        self.found = np.zeros(len(self.thresholds) + 1, dtype=np.int64)
        self.hits = np.zeros(len(self.thresholds) + 1, dtype=np.int64)
        self.iou_sum = np.zeros(len(self.thresholds))
        self.defective_images = 0

    def add(self, severity: NDArray[np.float32], truth: NDArray[np.bool_], *, name: str = "an image") -> None:
        """Count one image. severity: [H, W], any range but finite; truth: [H, W]; name: for the error text"""
        found, hits = reaching_counts(severity, truth, self.thresholds, name=name)
        self.found += found
        self.hits += hits
        true = hits[0]
        if true:
            self.defective_images += 1
            self.iou_sum += hits[1:] / (found[1:] + true - hits[1:])

    def sweep(self, criterion: str = "mean-iou") -> Sweep:
        """The sweep over all images added; BlemishError when none of them has a defect pixel."""
        if criterion not in CRITERIA:
            raise BlemishError(
                f"The criterion must be mean-iou or pixel-f1. Received: '{criterion}'. Use one of these."
            )
        if not self.defective_images:
            raise BlemishError(
                "A severity threshold is chosen on images with outlined defects. Received: none. "
                "Add images with masks or polygons to the val split."
            )
        true = int(self.hits[0])
        found_and_hits = zip(self.found[1:].tolist(), self.hits[1:].tolist(), strict=True)
        counts = [MatchCounts(hits, found, hits, true) for found, hits in found_and_hits]
        mean_iou = self.iou_sum / self.defective_images
        f1 = [each.f1 for each in counts]
        wanted = mean_iou if criterion == "mean-iou" else np.array(f1, dtype=np.float64)
        best = middle_of_best(wanted)
        return Sweep(
            thresholds=tuple(self.thresholds.tolist()),
            mean_iou=tuple(mean_iou.tolist()),
            precision=tuple(each.precision for each in counts),
            recall=tuple(each.recall for each in counts),
            f1=tuple(f1),
            criterion=criterion,
            best=float(self.thresholds[best]),
            best_value=float(wanted[best]),
        )

    def precision_recall(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Precision and recall, from the highest threshold that finds anything to all pixels found.

        Severities between two thresholds are a single step; those under the lowest come last, together.
        """
        found, hits = self.found[::-1], self.hits[::-1]
        some = found > 0
        return hits[some] / found[some], hits[some] / max(int(self.hits[0]), 1)

    def average_precision(self) -> float | None:
        """Area under the precision–recall steps, Σ (R_k − R_k−1) P_k; None without a defect pixel."""
        if not self.hits[0]:
            return None
        precision, recall = self.precision_recall()
        return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def reaching_counts(
    severity: NDArray[np.float32], truth: NDArray[np.bool_], thresholds: NDArray[np.float32], *, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of pixels, and of true ones, at or above −∞ and each threshold: two arrays [T + 1]."""
    if severity.shape != truth.shape:
        raise BlemishError(
            f"{name}: the severity map must have the mask's size. "
            f"Received: {severity.shape} and {truth.shape}. Annotate the image at its own size."
        )
    bins = len(thresholds) + 1
    counts = np.zeros((2, bins), dtype=np.int64)
    flat, flat_truth = severity.ravel(), truth.ravel()
    for start in range(0, flat.size, PIXELS_AT_ONCE):
        part = flat[start : start + PIXELS_AT_ONCE]
        if not np.isfinite(part).all():
            raise BlemishError(
                f"{name}: severities must be finite. Received: NaN or inf. Train the model again."
            )
        reached = np.searchsorted(thresholds, part, side="right")
        counts[0] += np.bincount(reached, minlength=bins)
        counts[1] += np.bincount(reached[flat_truth[start : start + PIXELS_AT_ONCE]], minlength=bins)
    found, hits = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    return found, hits


def middle_of_best(values: NDArray[np.float64]) -> int:
    """Index of the maximum; of a run of equal maxima the middle one, farthest from where anything changes."""
    best = np.nanmax(values)
    first = int(np.flatnonzero(values == best)[0])
    after = np.flatnonzero(values[first:] != best)
    run = int(after[0]) if len(after) else len(values) - first
    return first + (run - 1) // 2
