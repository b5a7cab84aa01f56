"""The few-shot protocol's figures: the paper's own "AP", means over rare and common classes, and intervals
over support draws.

The paper's AP is (precision + recall) / 2 at one score threshold, which is not average precision; the two
stand beside each other under their own names. Its threshold is open in the paper and is chosen on validation
images.
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
from blemish.evaluation.defects import box_ious, is_placed, match
from blemish.evaluation.detection import detection_metrics, detections
from blemish.evaluation.records import ImageRecord

MATCH_IOU = 0.5
CONFIDENCE = 0.95


@dataclass(frozen=True)
class RankedDetections:
    """All detections of one class over a set of images, by falling score.

    scores: [n]; right: whether it found a true defect of its class that no surer one had found, [n]
    truth: how many true defects the class has
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    truth: int


@dataclass(frozen=True)
class Interval:
    """A mean over support draws and the ends of its two-sided 95 % interval, None for a single draw."""

    mean: float
    low: float | None
    high: float | None
    draws: int

    @property
    def half_width(self) -> float | None:
        """What stands behind "±"."""
        return None if self.high is None else self.high - self.mean

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is told from none."""
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
    """One support draw's figures on the test images; None where nothing is annotated.

    threshold: of the paper's AP, from `paper_threshold` on validation images
    returns: AP50 and paper AP by class, in one label space, and their means: "b…" over common classes, "n…"
        over rare ones
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
    """A class's detections matched to its true boxes, image by image, the surest first.

    A match at a threshold uses the surer detections alone, so it is the same at every lower one.
    """
    scores, right, truth = [np.empty(0)], [np.empty(0, np.bool_)], 0
    for record in records:
        if is_placed(record):
            true = [one.box_xyxy for one in record.truth if one.label == label]
            found = [one for one in detections(record) if one.label == label]
            confidences = [one.confidence for one in found]
            pairs = match(box_ious(true, [one.box_xyxy for one in found]), confidences, threshold=iou)
            scores.append(np.array(confidences, np.float64))
            right.append(np.isin(np.arange(len(found)), [column for _, column in pairs]))
            truth += len(true)
    pooled = np.concatenate(scores)
    order = np.argsort(-pooled, kind="stable")
    return RankedDetections(pooled[order], np.concatenate(right)[order], truth)


def paper_ap(ranked: RankedDetections, threshold: float) -> float | None:
    """(precision + recall) / 2 of the detections from `threshold` on, in [0, 1]; None without a true defect.

    Precision of no detection at all counts as 0. Source: eqs. 6-8.
    """
    return float(paper_aps(ranked, [threshold])[0]) if ranked.truth else None


def paper_aps(ranked: RankedDetections, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Eq. 8 at each threshold, for a class with true defects. returns: [thresholds]"""
    shown = np.searchsorted(-ranked.scores, -np.asarray(thresholds, np.float64), side="right")
    right = np.concatenate([[0], np.cumsum(ranked.right)])[shown]
    aps: NDArray[np.float64] = (right / np.maximum(shown, 1) + right / ranked.truth) / 2
    return aps


def paper_threshold(ranked: Sequence[RankedDetections]) -> float:
    """The score threshold of the greatest mean paper AP over the classes; of equals the highest.

    ranked: one entry per class, of validation images; those without a true defect do not count
    returns: one of their scores, or 1 where nothing was found
    """
    marked = [one for one in ranked if one.truth]
    thresholds = np.unique(np.concatenate([np.ones(1), *(one.scores for one in marked)]))[::-1]
    if not marked:
        return 1.0
    means = np.mean([paper_aps(one, thresholds) for one in marked], axis=0)
    return float(thresholds[means.argmax()])


def group_mean(figures: Mapping[str, float | None], names: Sequence[str]) -> float | None:
    """Mean over the named classes that have a figure, as nAP50 over the rare ones; None where none has.

    Raises BlemishError for a name that was not measured.
    """
    unknown = [name for name in names if name not in figures]
    if unknown:
        raise BlemishError(
            f"The groups of classes must be among those measured: {', '.join(figures)}. "
            f"Received: '{unknown[0]}'. Name classes of the dataset."
        )
    defined = [figure for name in names if (figure := figures[name]) is not None]
    return math.fsum(defined) / len(defined) if defined else None


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean over support draws with its two-sided 95 % interval by Student's t. values: one per draw"""
    draws = len(values)
    mean = math.fsum(values) / draws
    if draws == 1:
        return Interval(mean, None, None, draws)
    error = float(np.std(values, ddof=1)) / math.sqrt(draws)
    half_width = student_quantile((1 + CONFIDENCE) / 2, draws - 1) * error
    return Interval(mean, mean - half_width, mean + half_width, draws)


def paired_difference(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Interval:
    """Mean of (ours − theirs) on the same support draws, with its interval: what all draws share drops out.

    ours, theirs: figure by the draw's digest. Raises BlemishError where the draws are not the same.
    """
    unpaired = sorted(ours.keys() ^ theirs.keys())
    if unpaired or not ours:
        received = f"'{unpaired[0]}' on one side only" if unpaired else "no draw"
        raise BlemishError(
            f"A paired difference needs both figures on the same support draws. Received: {received}. "
            "Run the missing rows."
        )
    return mean_interval([ours[draw] - theirs[draw] for draw in sorted(ours)])
