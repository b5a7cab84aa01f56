"""Curves of a report, from the same counts as the metrics beside them.

Every point is a number: a line ends where nothing is found any more, instead of holding undefined values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blemish.evaluation.defects import IOU_THRESHOLDS, is_placed, match_counts_at
from blemish.evaluation.image import image_scores, roc
from blemish.evaluation.records import Curve, ImageRecord
from blemish.evaluation.sweep import SeverityCounts, Sweep

MAX_POINTS = 150


def threshold_curve(sweep: Sweep, *, chosen: float | None = None) -> Curve:
    """Pixel metrics against the threshold, up to where nothing reaches it. chosen: the threshold in use"""
    defined = [index for index, precision in enumerate(sweep.precision) if precision is not None]
    shown = [defined[index] for index in thinned(len(defined))]
    lines = {
        "mean IoU": sweep.mean_iou,
        "F1": sweep.f1,
        "precision": sweep.precision,
        "recall": sweep.recall,
    }
    return Curve(
        title="Threshold on the map, on these images",
        x_name="threshold T",
        y_name="metric of pixels",
        x=tuple(sweep.thresholds[index] for index in shown),
        lines={name: tuple(float(values[index] or 0.0) for index in shown) for name, values in lines.items()},
        marked_x=sweep.best if chosen is None else chosen,
    )


def precision_recall_curve(counts: SeverityCounts) -> Curve:
    """Pixel precision against recall, over every threshold on the map."""
    precision, recall = counts.precision_recall()
    shown = thinned(len(recall))
    return Curve(
        title="Pixel precision and recall",
        x_name="recall",
        y_name="precision",
        x=tuple(recall[shown].tolist()),
        lines={"precision": tuple(precision[shown].tolist())},
    )


def iou_curve(records: Sequence[ImageRecord]) -> Curve | None:
    """Precision and recall of defects against the IoU of a match, by place and with the right class.

    Source: Fig. 9.
    """
    placed = [record for record in records if is_placed(record)]
    if not any(record.truth for record in placed):
        return None
    lines: dict[str, tuple[float, ...]] = {}
    for with_type, ending in ((False, ""), (True, " with class")):
        counts = [match_counts_at(placed, threshold, with_type=with_type) for threshold in IOU_THRESHOLDS]
        for name in ("recall", "precision"):
            values = [getattr(each, name) for each in counts]
            if None not in values:
                lines[name + ending] = tuple(values)
    return Curve("Defects found, by IoU", "IoU threshold", "share of defects", IOU_THRESHOLDS, lines)


def roc_curve(records: Sequence[ImageRecord]) -> Curve | None:
    """Share of defective images found against the share of clean ones rejected; None without both kinds."""
    points = roc(*image_scores(records))
    if points is None:
        return None
    alarms, recall = points
    return Curve(
        title="ROC curve of images",
        x_name="share of clean images rejected",
        y_name="share of defective images found",
        x=tuple(alarms.tolist()),
        lines={"recall": tuple(recall.tolist())},
    )


def thinned(length: int) -> list[int]:
    """At most `MAX_POINTS` evenly spread indices below `length`, the first and the last among them."""
    spread = np.linspace(0, length - 1, min(length, MAX_POINTS)).round().astype(int)
    return [int(index) for index in np.unique(spread)]
