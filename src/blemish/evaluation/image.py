"""Image metrics: how well scores separate defective images from clean ones, and how often verdicts are right.

Only NG calls an image defective: REVIEW does not, and is counted separately by the operating point. Images
that could not be judged (ERROR) count in no figure but "errors".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.evaluation.pixel import MatchCounts, ratio
from blemish.evaluation.records import ImageRecord
from blemish.inspection import Verdict
from blemish.ranks import auroc


def image_metrics(records: Sequence[ImageRecord]) -> dict[str, Any] | None:
    """The "image" part of metrics.json; None where no image was judged."""
    judged = [record for record in records if record.inspection.verdict is not Verdict.ERROR]
    if not judged:
        return None
    defective = np.array([is_defective(record) for record in judged])
    called = np.array([record.inspection.verdict is Verdict.NG for record in judged])
    scores, of_scored = image_scores(judged)
    return {
        "images": len(judged),
        "defective": int(defective.sum()),
        "auroc": auroc(scores, of_scored),
        "ap": average_precision(scores, of_scored),
        **call_metrics(called, defective),
    }


def is_defective(record: ImageRecord) -> bool:
    """True for an image with a defect; annotated places that turn out empty (an all-black mask) are none."""
    annotations = record.sample.annotations
    if all(annotation.has_place for annotation in annotations):
        return bool(record.truth)
    return bool(annotations)


def image_scores(records: Sequence[ImageRecord]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores [n] and truth [n] of the images that have a score."""
    scored = [record for record in records if record.inspection.score is not None]
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
