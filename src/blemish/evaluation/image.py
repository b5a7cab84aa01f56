"""Image metrics: how well scores separate defective images from clean ones, and how often verdicts are right.

Only NG calls an image defective: REVIEW does not, and is counted separately by the operating point. Images
that could not be judged (ERROR) count in no figure but "errors", and images whose only marks are difficult
ones in none: they are neither surely defective nor clean (as in PASCAL VOC's classification task).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.dataset.ignored import is_doubtful
from blemish.evaluation.auroc_interval import auroc_interval
from blemish.evaluation.pixel import MatchCounts, ratio
from blemish.evaluation.records import ImageRecord
from blemish.inspection import Verdict
from blemish.ranks import auroc


def image_metrics(records: Sequence[ImageRecord]) -> dict[str, Any] | None:
    """The "image" part of metrics.json; None where no image was judged."""
    judged = [r for r in records if r.inspection.verdict is not Verdict.ERROR and is_decided(r)]
    if not judged:
        return None
    defective = np.array([is_defective(record) for record in judged])
    called = np.array([record.inspection.verdict is Verdict.NG for record in judged])
    scores, of_scored = image_scores(judged)
    value, of_defective = auroc(scores, of_scored), int(of_scored.sum())
    interval = (
        None
        if value is None
        else auroc_interval(value, defective=of_defective, clean=len(of_scored) - of_defective)
    )
    return {
        "images": len(judged),
        "defective": int(defective.sum()),
        "auroc": value,
        "auroc_interval95": interval and list(interval),
        "ap": average_precision(scores, of_scored),
        **call_metrics(called, defective),
    }


def is_defective(record: ImageRecord) -> bool:
    """True for an image that is marked with anything but difficult defects, a crowd region among them."""
    return bool(labels_on(record))


def labels_on(record: ImageRecord) -> set[str]:
    """Classes that an image is marked with, but for difficult defects; none on a clean one."""
    return {mark.label for mark in record.sample.annotations if mark.crowd or not mark.difficult}


def is_decided(record: ImageRecord) -> bool:
    """False for an image with difficult defects alone, which is neither surely defective nor clean."""
    return not is_doubtful(record.sample)


def image_scores(records: Sequence[ImageRecord]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores [n] and truth [n] of the images that have a score and are defective or clean."""
    scored = [record for record in records if record.inspection.score is not None and is_decided(record)]
    scores = np.array([record.inspection.score for record in scored], dtype=np.float64)
    return scores, np.array([is_defective(record) for record in scored], dtype=bool)


def call_metrics(called: NDArray[np.bool_], defective: NDArray[np.bool_]) -> dict[str, float | None]:
    """Accuracy, precision, recall and F1 of calling images defective. called, defective: [n]"""
    hits = int((called & defective).sum())
    counts = MatchCounts(hits, int(called.sum()), hits, int(defective.sum()))
    return {
        "accuracy": ratio(int((called == defective).sum()), len(called)),
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
    }


def average_precision(scores: ArrayLike, defective: ArrayLike) -> float | None:
    """Area under the precision–recall steps, equal scores as a single step; None without a defective image.

    scores, defective: [n]
    """
    found, hits = counts_by_score(scores, defective)
    if not len(hits) or not hits[-1]:
        return None
    return float(np.sum(np.diff(hits, prepend=0) / hits[-1] * hits / found))


def roc(scores: ArrayLike, defective: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """ROC curve: false alarm rates and recalls from (0, 0) to (1, 1); None without both kinds of image.

    scores, defective: [n]
    """
    found, hits = counts_by_score(scores, defective)
    if not len(hits) or not hits[-1] or hits[-1] == found[-1]:
        return None
    alarms = np.concatenate(([0], found - hits))
    return alarms / alarms[-1], np.concatenate(([0], hits)) / hits[-1]


def counts_by_score(scores: ArrayLike, defective: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Numbers of images, and of defective ones, at or above each distinct score, the highest first."""
    scores, defective = np.asarray(scores, dtype=np.float64), np.asarray(defective, dtype=bool)
    _, group = np.unique(-scores, return_inverse=True)
    found = np.cumsum(np.bincount(group)) if len(group) else np.zeros(0, dtype=np.intp)
    hits = np.cumsum(np.bincount(group[defective], minlength=len(found)))
    return found, hits
