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
MATCH_IOU = 0.3  # from which a found defect is taken for a true one, in every table, type and picture
REPORTED_IOUS = (MATCH_IOU, 0.5)


def iou_matrix(
    truth: Sequence[Instance], found_boxes: Sequence[Box], found_map: NDArray[np.int32] | None
) -> NDArray[np.float32]:
    """IoU of every true with every found defect: on pixels where both have them, else on boxes.

    found_map: [H, W], 0 on the surface and i + 1 on found defect i; None where the method gives boxes only
    returns: [N, M] float32 in [0, 1]
    """
    ious = box_ious([one.box_xyxy for one in truth], found_boxes)
    if found_map is None or not len(found_boxes):
        return ious
    found_areas = np.bincount(found_map.ravel(), minlength=len(found_boxes) + 1)[1:]
    for row, one in enumerate(truth):
        if one.mask is not None:
            left, top, right, bottom = (int(edge) for edge in one.box_xyxy)
            ious[row] = mask_ious(one.mask, found_map[top:bottom, left:right], found_areas)
    return ious


def mask_ious(
    mask: NDArray[np.bool_], found_map: NDArray[np.int32], found_areas: NDArray[np.intp]
) -> NDArray[np.float32]:
    """IoU of one true mask with all found defects, by counting the numbers under it.

    mask, found_map: [h, w] of the same window; found_areas: [M] in the whole image; returns: [M]
    """
    shared = np.bincount(found_map[mask], minlength=len(found_areas) + 1)[1:]
    either = found_areas + np.count_nonzero(mask) - shared
    ious: NDArray[np.float32] = (shared / np.maximum(either, 1)).astype(np.float32)
    return ious


def box_ious(truth: Sequence[Box], found: Sequence[Box]) -> NDArray[np.float32]:
    """IoU of half-open boxes. returns: [N, M] float32, 0 where both boxes are empty"""
    one, other = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (truth, found))
    return box_iou(one, other).astype(np.float32)


def best_ious(iou: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each true defect's best IoU, 0 where nothing was found. iou: [N, M]; returns: [N]"""
    best: NDArray[np.float32] = iou.max(axis=1, initial=0.0)
    return best


def average_recall(best: ArrayLike) -> float | None:
    """AR = (2/n) Σ max(IoU − 0.5, 0), in [0, 1]; None without a true defect. Source: eq. 3."""
    best = np.asarray(best, dtype=np.float64)
    return float(2 * np.clip(best - 0.5, 0, None).mean()) if best.size else None


def match(
    iou: NDArray[np.float32],
    confidences: Sequence[float],
    *,
    threshold: float,
    allowed: NDArray[np.bool_] | None = None,
) -> list[tuple[int, int]]:
    """Pairs (true, found) that belong together, each used once; the order is this file's header.

    iou: [N, M]; allowed: [N, M], such as "the labels agree"
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
    """Pairs (true, found) of one image; `with_type`, only those of the same label."""
    found = record.inspection.defects
    allowed = None
    if with_type:
        true_labels = np.array([one.label for one in record.truth], dtype=object)
        allowed = true_labels[:, None] == np.array([defect.label for defect in found], dtype=object)
    return match(record.iou, [defect.confidence for defect in found], threshold=threshold, allowed=allowed)


def pairings(record: ImageRecord, threshold: float = MATCH_IOU) -> list[tuple[int | None, int | None]]:
    """Every true and every found defect of one image once, as (true, found): None for what a miss or a false
    alarm lacks.
    """
    both = matched_pairs(record, threshold)
    rows, columns = {row for row, _ in both}, {column for _, column in both}
    misses = [(row, None) for row in range(len(record.truth)) if row not in rows]
    alarms = [(None, column) for column in range(len(record.inspection.defects)) if column not in columns]
    return [*both, *misses, *alarms]


def match_counts_at(
    records: Sequence[ImageRecord], threshold: float, *, with_type: bool = False
) -> MatchCounts:
    """Found and true defects that belong together, pooled over images; false alarms on clean images count."""
    total = NO_MATCHES
    for record in records:
        hits = len(matched_pairs(record, threshold, with_type=with_type))
        total += MatchCounts(hits, len(record.inspection.defects), hits, len(record.truth))
    return total


def is_placed(record: ImageRecord) -> bool:
    """Whether the truth says where everything is: a clean image, or one without mere image labels."""
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
    """Of the rejected images with defects of known place, those rejected for the wrong reason: something was
    found, and none of it belongs to a true defect.
    """
    rejected = [
        record
        for record in records
        if record.inspection.verdict is Verdict.NG and is_placed(record) and record.truth
    ]
    elsewhere = [one for one in rejected if one.inspection.defects and not matched_pairs(one, MATCH_IOU)]
    return proportion_bound(len(elsewhere), len(rejected))


def metrics_at(records: Sequence[ImageRecord], threshold: float) -> dict[str, float | None]:
    """Precision, recall and F1 at one IoU threshold, of places alone and with the type being right."""
    metrics = {}
    for with_type, ending in ((False, ""), (True, "_with_type")):
        agreement = match_counts_at(records, threshold, with_type=with_type)
        for name in ("precision", "recall", "f1"):
            metrics[f"{name}_at_{100 * threshold:.0f}{ending}"] = getattr(agreement, name)
    return metrics


def class_metrics(records: Sequence[ImageRecord], label: str) -> dict[str, Any]:
    """One class: the best IoUs of its defects, how many are found, and how often its name is right.

    recall_at_30: of the class's true defects, those found, under whatever name; precision_at_30: of what was
        found under its name, how much is truly of it; both as counts with bounds
    """
    best, recalled, named, right = [], 0, 0, 0
    for record in records:
        truly = [one.label == label for one in record.truth]
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
