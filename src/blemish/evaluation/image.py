"""Image metrics: does the score put defective images above clean ones, and is the verdict right.

NG is the call that counts: an image sent to REVIEW is not called defective, the operating point counts it
apart. Images that could not be judged (ERROR) are in none of these figures but in "errors".
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
    """The truth of the image. Annotated places that turn out empty (an all-black mask file) are no defect."""
    annotations = record.sample.annotations
    if all(annotation.has_place for annotation in annotations):
        return bool(record.truth)
    return bool(annotations)


def image_scores(records: Sequence[ImageRecord]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and truth of the images that have a score."""
    scored = [record for record in records if record.inspection.score is not None]
    scores = np.array([record.inspection.score for record in scored], dtype=np.float64)
    return scores, np.array([is_defective(record) for record in scored], dtype=bool)


def call_metrics(called: NDArray[np.bool_], defective: NDArray[np.bool_]) -> dict[str, float | None]:
    """Accuracy, precision, recall and F1 of calling images defective. called, defective: [n]"""
    hits = int((called & defective).sum())
    agreement = MatchCounts(hits, int(called.sum()), hits, int(defective.sum()))
    return {
        "accuracy": ratio(int((called == defective).sum()), len(called)),
        "precision": agreement.precision,
        "recall": agreement.recall,
        "f1": agreement.f1,
    }


def average_precision(scores: ArrayLike, defective: ArrayLike) -> float | None:
    """Area under the precision–recall steps, equal scores being one step; None without a defective image."""
    found, hits = counts_by_score(scores, defective)
    if not len(hits) or not hits[-1]:
        return None
    return float(np.sum(np.diff(hits, prepend=0) / hits[-1] * hits / found))


def roc(scores: ArrayLike, defective: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(False alarm rate, recall) from (0, 0) to (1, 1), one point a score; None without both kinds."""
    found, hits = counts_by_score(scores, defective)
    if not len(hits) or not hits[-1] or hits[-1] == found[-1]:
        return None
    alarms = np.concatenate(([0], found - hits))
    return alarms / alarms[-1], np.concatenate(([0], hits)) / hits[-1]


def counts_by_score(scores: ArrayLike, defective: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Images, and defective images, at or above each different score, from the highest score down."""
    scores, defective = np.asarray(scores, dtype=np.float64), np.asarray(defective, dtype=bool)
    _, group = np.unique(-scores, return_inverse=True)
    found = np.cumsum(np.bincount(group)) if len(group) else np.zeros(0, dtype=np.intp)
    hits = np.cumsum(np.bincount(group[defective], minlength=len(found)))
    return found, hits
