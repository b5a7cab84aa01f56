"""Defect metrics: how well each true defect is covered, and how many are found at an IoU threshold.

Found defects are those that an inspection lists: findings of an image whose score stays under the limit of
REVIEW are none, and a true defect that nothing else covers is missed. Average precision, over all thresholds,
is in `detection`.
IoU of a true defect is its best over all found defects. Matching is that of `matching`, one to one; found
defects that match an ignored region count neither as right nor as wrong.
Source: He & Liu 2020, eq. 3 and Fig. 9. Shape letters: N true defects, M found defects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.defect import Defect
from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.matching import match, match_ignored
from blemish.evaluation.pixel import NO_MATCHES, MatchCounts
from blemish.evaluation.records import IgnoredRegion, ImageRecord, TruthDefect
from blemish.inspection import Verdict

IOU_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 20))
MATCH_IOU = 0.3  # from which a found defect matches a true one, in every table and image of a report
REPORTED_IOUS = (MATCH_IOU, 0.5)


def best_ious(iou: NDArray[np.float32]) -> NDArray[np.float32]:
    """Best IoU of each true defect, 0 where nothing was found. iou: [N, M]; returns: [N]"""
    best: NDArray[np.float32] = iou.max(axis=1, initial=0.0)
    return best


def average_recall(best: ArrayLike) -> float | None:
    """Average recall (2/n) Σ max(IoU − 0.5, 0) in [0, 1] of best IoUs [n]; None without any.

    Source: He & Liu 2020, eq. 3.
    """
    best = np.asarray(best, dtype=np.float64)
    return float(2 * np.clip(best - 0.5, 0, None).mean()) if best.size else None


def unjudged(record: ImageRecord, threshold: float, *, with_type: bool = False) -> frozenset[int]:
    """Found defects of an image in ignored regions, see `match_ignored`; none where nothing is ignored.

    with_type: only regions of their label count
    """
    if not record.ignored:
        return frozenset()
    found = record.inspection.defects
    pairs = matched_pairs(record, threshold, with_type=with_type)
    return match_ignored(
        record.ignored_overlap,
        [region.crowd for region in record.ignored],
        [defect.confidence for defect in found],
        threshold=threshold,
        matched={column for _, column in pairs},
        allowed=same_labels(record.ignored, found) if with_type else None,
    )


def same_labels(
    truth: Sequence[TruthDefect] | Sequence[IgnoredRegion], found: Sequence[Defect]
) -> NDArray[np.bool_]:
    """Mask [N, M] of the pairs of equal labels."""
    labels = np.array([each.label for each in truth], dtype=object)
    equal: NDArray[np.bool_] = labels[:, None] == np.array([defect.label for defect in found], dtype=object)
    return equal


def matched_pairs(record: ImageRecord, threshold: float, *, with_type: bool = False) -> list[tuple[int, int]]:
    """Matched pairs (true, found) of an image. with_type: only those of equal labels match"""
    found = record.inspection.defects
    allowed = same_labels(record.truth, found) if with_type else None
    return match(record.iou, [defect.confidence for defect in found], threshold=threshold, allowed=allowed)


def pairings(record: ImageRecord, threshold: float = MATCH_IOU) -> list[tuple[int | None, int | None]]:
    """Every true and found defect of an image once, as (true, found); None stands for a missing partner.

    Found defects that are neither right nor wrong are not among them.
    """
    both = matched_pairs(record, threshold)
    rows = {row for row, _ in both}
    columns = {column for _, column in both} | unjudged(record, threshold)
    misses = [(row, None) for row in range(len(record.truth)) if row not in rows]
    alarms = [(None, column) for column in range(len(record.inspection.defects)) if column not in columns]
    return [*both, *misses, *alarms]


def match_counts_at(
    records: Sequence[ImageRecord], threshold: float, *, with_type: bool = False
) -> MatchCounts:
    """Match counts of defects, pooled over images; false alarms on clean images count. threshold: of IoU"""
    total = NO_MATCHES
    for record in records:
        hits = len(matched_pairs(record, threshold, with_type=with_type))
        found = len(record.inspection.defects) - len(unjudged(record, threshold, with_type=with_type))
        total += MatchCounts(hits, found, hits, len(record.truth))
    return total


def is_placed(record: ImageRecord) -> bool:
    """True where all defects of the image have an annotated place, or it has none."""
    return all(annotation.has_place for annotation in record.sample.annotations)


def defect_metrics(records: Sequence[ImageRecord], class_names: Sequence[str]) -> dict[str, Any] | None:
    """The "defect" part of metrics.json, of images whose truth has places; None where no defect has one."""
    placed = [record for record in records if is_placed(record)]
    if not any(record.truth for record in placed):
        return None
    best = np.concatenate([best_ious(record.iou) for record in placed])
    metrics: dict[str, Any] = {
        "images": len(placed),
        "truth": len(best),
        "found": sum(len(record.inspection.defects) for record in placed),
        "ar": average_recall(best),
        "mean_iou": float(best.mean()),
    }
    for threshold in REPORTED_IOUS:
        metrics |= metrics_at(placed, threshold)
    return {**metrics, "classes": {name: class_metrics(placed, name) for name in class_names}}


def finding_counts(records: Sequence[ImageRecord]) -> dict[str, int] | None:
    """The "findings" part of metrics.json; None where nothing is marked or found.

    Of images whose truth has places, or that are clean.
    listed: defects that inspections list; nothing: those of them that touch no annotated defect; partly:
        those that touch one too little to match it, or one that another finding matches
    on_clean: those of them on clean images; clean_images: number of such images that list any
    under_limit: findings that are no defects, as their image's score stays under the limit, and
        images_under_limit: number of such images; they are in no other figure but average precision
    """
    placed = [record for record in records if is_placed(record)]
    counts = match_counts_at(placed, MATCH_IOU)
    under = [len(record.inspection.under_limit) for record in placed if record.inspection.under_limit]
    if not counts.n_found and not counts.n_true and not under:
        return None
    nothing = sum(num_nothing(record) for record in placed)
    on_clean = [
        len(r.inspection.defects) for r in placed if not r.sample.annotations and r.inspection.defects
    ]
    return {
        "images": len(placed),
        "listed": counts.n_found,
        "nothing": nothing,
        "partly": counts.n_found - counts.tp_found - nothing,
        "on_clean": sum(on_clean),
        "clean_images": len(on_clean),
        "under_limit": sum(under),
        "images_under_limit": len(under),
    }


def num_nothing(record: ImageRecord) -> int:
    """Number of the found defects of an image that touch no true one, nor lie in an ignored region."""
    ignored, best = unjudged(record, MATCH_IOU), record.iou.max(axis=0, initial=0.0)
    return sum(1 for column, overlap in enumerate(best) if overlap == 0 and column not in ignored)


def rejected_elsewhere(records: Sequence[ImageRecord]) -> ProportionBound:
    """Images rejected perhaps for the wrong reason, among the rejected ones with defects of known place.

    Something was found in them, but none of it matches a true defect.
    """
    rejected = [
        record
        for record in records
        if record.inspection.verdict is Verdict.NG and is_placed(record) and record.truth
    ]
    found = [record for record in rejected if record.inspection.defects]
    elsewhere = sum(
        not matched_pairs(record, MATCH_IOU) and not unjudged(record, MATCH_IOU) for record in found
    )
    return proportion_bound(elsewhere, len(rejected))


def metrics_at(records: Sequence[ImageRecord], threshold: float) -> dict[str, float | None]:
    """Precision, recall and F1 at an IoU threshold, by place alone and with the right label."""
    metrics = {}
    for with_type, ending in ((False, ""), (True, "_with_type")):
        counts = match_counts_at(records, threshold, with_type=with_type)
        for name in ("precision", "recall", "f1"):
            metrics[f"{name}_at_{100 * threshold:.0f}{ending}"] = getattr(counts, name)
    return metrics


def class_metrics(records: Sequence[ImageRecord], label: str) -> dict[str, Any]:
    """Metrics of a class: the best IoUs of its defects, how many are found, and how often its name is right.

    recall_at_30: of the class's true defects, those found, under whatever name; precision_at_30: of the
        defects found under its name, those that are truly of it; both as counts with bounds
    """
    best, recalled, named, right = [], 0, 0, 0
    for record in records:
        truly = [defect.label == label for defect in record.truth]
        called = [defect.label == label for defect in record.inspection.defects]
        best.append(best_ious(record.iou)[truly])
        pairs = matched_pairs(record, MATCH_IOU)
        recalled += sum(truly[row] for row, _ in pairs)
        right += sum(truly[row] and called[column] for row, column in pairs)
        named += sum(called) - sum(called[column] for column in unjudged(record, MATCH_IOU))
    ious = np.concatenate(best)
    return {
        "mean_iou": float(ious.mean()) if ious.size else None,
        "ar": average_recall(ious),
        "recall_at_30": proportion_bound(recalled, ious.size).to_json(),
        "precision_at_30": proportion_bound(right, named).to_json(),
    }
