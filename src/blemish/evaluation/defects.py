"""Defect metrics: how well each true defect is covered, and how many are found at an IoU threshold.

IoU of a true defect is its best over all found defects. Matching is one to one: found defects in order of
falling confidence (then falling best IoU) each take the free true defect they overlap most, if the IoU is
at least the threshold.
Source: He & Liu 2020, eq. 3 and Fig. 9. Shape letters: N true defects, M found defects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.arrays import Box
from blemish.dataset.masks import Instance
from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.pixel import NO_MATCHES, MatchCounts
from blemish.evaluation.records import ImageRecord
from blemish.inspection import Verdict
from blemish.regions.boxes import box_iou

IOU_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 20))
MATCH_IOU = 0.3  # from which a found defect matches a true one, in every table and image of a report
REPORTED_IOUS = (MATCH_IOU, 0.5)


def iou_matrix(
    truth: Sequence[Instance], found_boxes: Sequence[Box], found_map: NDArray[np.int32] | None
) -> NDArray[np.float32]:
    """IoU of every true with every found defect: on pixels where both have them, else on boxes.

    found_map: [H, W], 0 on the surface and i + 1 on found defect i; None where the method gives boxes only
    returns: [N, M] float32 in [0, 1]
    """
    ious = box_ious([instance.box_xyxy for instance in truth], found_boxes)
    if found_map is None or not len(found_boxes):
        return ious
    found_areas = np.bincount(found_map.ravel(), minlength=len(found_boxes) + 1)[1:]
    for row, instance in enumerate(truth):
        if instance.mask is not None:
            left, top, right, bottom = (int(edge) for edge in instance.box_xyxy)
            under = found_map[top:bottom, left:right][instance.mask]
            shared = np.bincount(under, minlength=len(found_areas) + 1)[1:]
            ious[row] = shared / np.maximum(found_areas + np.count_nonzero(instance.mask) - shared, 1)
    return ious


def box_ious(truth: Sequence[Box], found: Sequence[Box]) -> NDArray[np.float32]:
    """IoU of half-open xyxy boxes. returns: [N, M] float32, 0 where both boxes are empty"""
    first, second = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (truth, found))
    return box_iou(first, second).astype(np.float32)


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


def match(
    iou: NDArray[np.float32],
    confidences: Sequence[float],
    *,
    threshold: float,
    allowed: NDArray[np.bool_] | None = None,
) -> list[tuple[int, int]]:
    """Match true and found defects one to one, in the order of this file's header, to pairs (true, found).

    iou: [N, M]; confidences: [M]; threshold: smallest IoU of a match
    allowed: mask [N, M] of pairs that may match, as those of equal labels; None: all
    """
    usable = (iou >= threshold) & (iou > 0)
    overlap = np.where(usable if allowed is None else usable & allowed, iou, -1)
    pairs = []
    for column in np.lexsort((-iou.max(axis=0, initial=0.0), -np.asarray(confidences, dtype=np.float64))):
        row = int(overlap[:, column].argmax()) if len(overlap) else 0
        if len(overlap) and overlap[row, column] > 0:
            pairs.append((row, int(column)))
            overlap[row] = -1
    return pairs


def matched_pairs(record: ImageRecord, threshold: float, *, with_type: bool = False) -> list[tuple[int, int]]:
    """Matched pairs (true, found) of an image. with_type: only those of equal labels match"""
    found = record.inspection.defects
    allowed = None
    if with_type:
        true_labels = np.array([defect.label for defect in record.truth], dtype=object)
        allowed = true_labels[:, None] == np.array([defect.label for defect in found], dtype=object)
    return match(record.iou, [defect.confidence for defect in found], threshold=threshold, allowed=allowed)


def pairings(record: ImageRecord, threshold: float = MATCH_IOU) -> list[tuple[int | None, int | None]]:
    """Every true and found defect of an image once, as (true, found); None stands for a missing partner."""
    both = matched_pairs(record, threshold)
    rows, columns = {row for row, _ in both}, {column for _, column in both}
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
        total += MatchCounts(hits, len(record.inspection.defects), hits, len(record.truth))
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


def rejected_elsewhere(records: Sequence[ImageRecord]) -> ProportionBound:
    """Images rejected for the wrong reason, among the rejected ones with defects of known place.

    Something was found in them, but none of it matches a true defect.
    """
    rejected = [
        record
        for record in records
        if record.inspection.verdict is Verdict.NG and is_placed(record) and record.truth
    ]
    found = [record for record in rejected if record.inspection.defects]
    elsewhere = sum(not matched_pairs(record, MATCH_IOU) for record in found)
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
        named += sum(called)
    ious = np.concatenate(best)
    return {
        "mean_iou": float(ious.mean()) if ious.size else None,
        "ar": average_recall(ious),
        "recall_at_30": proportion_bound(recalled, ious.size).to_json(),
        "precision_at_30": proportion_bound(right, named).to_json(),
    }
