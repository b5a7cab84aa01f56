"""Few-shot metrics: the paper's "AP", means over rare and common classes, intervals over support draws.

The paper's AP is (precision + recall) / 2 at a score threshold, which is not average precision; both are
given, under different names. The paper leaves its threshold open; here it is chosen on validation images.
Source: TL-SDD, eqs. 6-8; the interval is Student's t. Letters: n detections.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BlemishError
from blemish.evaluation.beta import student_quantile
from blemish.evaluation.defects import is_placed
from blemish.evaluation.detection import detection_metrics, detections
from blemish.evaluation.matching import box_ious, match, match_ignored, region_overlaps
from blemish.evaluation.records import ImageRecord

MATCH_IOU = 0.5
CONFIDENCE = 0.95


@dataclass(frozen=True)
class RankedDetections:
    """All detections of a class over a set of images, by falling score.

    scores: [n]; right: True for those that match a true defect of the class that no higher score matches, [n]
    truth: number of true defects of the class
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    truth: int


@dataclass(frozen=True)
class Interval:
    """Mean over support draws and the ends of its two-sided 95 % interval, None for a single draw."""

    mean: float
    low: float | None
    high: float | None
    draws: int

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, as written behind "±"; None for a single draw."""
        return None if self.high is None else self.high - self.mean

    @property
    def excludes_zero(self) -> bool:
        """True where the interval of a difference does not hold 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "low95": self.low, "high95": self.high, "draws": self.draws}


def few_shot_metrics(
    records: Sequence[ImageRecord],
    class_names: Sequence[str],
    *,
    common: Sequence[str],
    rare: Sequence[str],
    threshold: float,
) -> dict[str, Any] | None:
    """Metrics of a support draw on the test images; None where nothing is annotated.

    threshold: of the paper's AP, from `paper_threshold` on validation images
    returns: AP50 and paper AP by class, in a common label space, and their means: "b…" over common classes,
        "n…" over rare ones
    Raises BlemishError for a class in `common` or `rare` that is not in `class_names`.
    """
    found = detection_metrics(records, class_names)
    if found is None:
        return None
    paper = {name: paper_ap(ranked_detections(records, name), threshold) for name in class_names}
    base, novel = (group_mean(found["ap50"], names) for names in (common, rare))
    return {
        "ap50": found["ap50"],
        "bap50": base,
        "nap50": novel,
        "map50_95": found["map50_95"],
        "paper_ap": paper,
        "b_paper_ap": group_mean(paper, common),
        "n_paper_ap": group_mean(paper, rare),
        "paper_threshold": threshold,
    }


def ranked_detections(
    records: Sequence[ImageRecord], label: str, *, iou: float = MATCH_IOU
) -> RankedDetections:
    """Detections of a class matched to its true boxes by falling score. iou: smallest of a match

    Those in ignored regions of the class are left out.
    A match depends on detections of higher scores alone, so it holds at every lower threshold.
    """
    scores, right, truth = [np.empty(0)], [np.empty(0, np.bool_)], 0
    for record in records:
        if is_placed(record):
            true = [defect.box_xyxy for defect in record.truth if defect.label == label]
            found = [defect for defect in detections(record) if defect.label == label]
            confidences = [defect.confidence for defect in found]
            boxes = [defect.box_xyxy for defect in found]
            pairs = match(box_ious(true, boxes), confidences, threshold=iou)
            matched = [column for _, column in pairs]
            regions = [region for region in record.ignored if region.label == label]
            unjudged = match_ignored(
                region_overlaps(regions, boxes),
                [region.crowd for region in regions],
                confidences,
                threshold=iou,
                matched=matched,
            )
            judged = [column for column in range(len(found)) if column not in unjudged]
            scores.append(np.array(confidences, np.float64)[judged])
            right.append(np.isin(judged, matched))
            truth += len(true)
    pooled = np.concatenate(scores)
    order = np.argsort(-pooled, kind="stable")
    return RankedDetections(pooled[order], np.concatenate(right)[order], truth)


def paper_ap(ranked: RankedDetections, threshold: float) -> float | None:
    """The paper's AP, (precision + recall) / 2 of detections at or above `threshold`, in [0, 1].

    None without a true defect; precision without a detection counts as 0. Source: eqs. 6-8.
    """
    return float(paper_aps(ranked, [threshold])[0]) if ranked.truth else None


def paper_aps(ranked: RankedDetections, thresholds: ArrayLike) -> NDArray[np.float64]:
    """The paper's AP (eq. 8) at each threshold, for a class with true defects. returns: [thresholds]"""
    shown = np.searchsorted(-ranked.scores, -np.asarray(thresholds, np.float64), side="right")
    right = np.concatenate([[0], np.cumsum(ranked.right)])[shown]
    aps: NDArray[np.float64] = (right / np.maximum(shown, 1) + right / ranked.truth) / 2
    return aps


def paper_threshold(ranked: Sequence[RankedDetections]) -> float:
    """Score threshold with the largest mean paper AP over the classes; of equals the highest.

    ranked: an entry per class, of validation images; those without a true defect do not count
    returns: a score of theirs, or 1 where nothing was found
    """
    marked = [detected for detected in ranked if detected.truth]
    thresholds = np.unique(np.concatenate([np.ones(1), *(detected.scores for detected in marked)]))[::-1]
    if not marked:
        return 1.0
    means = np.mean([paper_aps(detected, thresholds) for detected in marked], axis=0)
    return float(thresholds[means.argmax()])


def group_mean(figures: Mapping[str, float | None], names: Sequence[str]) -> float | None:
    """Mean figure of the named classes, as nAP50 over the rare ones; None where no class has a figure.

    Raises BlemishError for a name that was not measured.
    """
    unknown = [name for name in names if name not in figures]
    if unknown:
        raise BlemishError(
            f"Groups must hold classes that were measured: {', '.join(figures)}. "
            f"Received: '{unknown[0]}'. Name classes of the dataset."
        )
    defined = [figure for name in names if (figure := figures[name]) is not None]
    return math.fsum(defined) / len(defined) if defined else None


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean over support draws with its two-sided 95 % interval by Student's t. values: a figure per draw"""
    draws = len(values)
    mean = math.fsum(values) / draws
    if draws == 1:
        return Interval(mean, None, None, draws)
    error = float(np.std(values, ddof=1)) / math.sqrt(draws)
    half_width = student_quantile((1 + CONFIDENCE) / 2, draws - 1) * error
    return Interval(mean, mean - half_width, mean + half_width, draws)


def paired_difference(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Interval:
    """Mean of (ours − theirs) over the same support draws, with its interval.

    Pairing cancels the variation that both share. ours, theirs: figure by the draw's digest
    Raises BlemishError where the draws differ.
    """
    unpaired = sorted(ours.keys() ^ theirs.keys())
    if unpaired or not ours:
        received = f"'{unpaired[0]}' on one side only" if unpaired else "no draw"
        raise BlemishError(
            f"A paired difference needs both figures on the same support draws. Received: {received}. "
            "Run the missing rows."
        )
    return mean_interval([ours[draw] - theirs[draw] for draw in sorted(ours)])
