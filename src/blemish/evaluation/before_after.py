"""What a change of a bundle did to each class: the same images inspected before and after it.

A true defect is found where a detection of its class meets it at IoU 0.5, confused where only one of another
class does, and missed else; detections are those that the bundle calls defects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blemish.evaluation.defects import is_placed, match, matched_pairs
from blemish.evaluation.detection import detection_metrics
from blemish.evaluation.records import ImageRecord

FOUND_IOU = 0.5
FOUND, CONFUSED, MISSED = "found", "confused", "missed"
WORTH_SAYING = 0.01  # of AP50


@dataclass(frozen=True)
class ClassFigures:
    """One class on one run over the images. ap50: None without a true defect of it

    alarms: detections of it that belong to no true defect of it
    """

    ap50: float | None
    found: int
    missed: int
    confused: int
    alarms: int


@dataclass(frozen=True)
class ClassChange:
    """One class before and after; before is None for a class that was not there."""

    label: str
    before: ClassFigures | None
    after: ClassFigures


def class_changes(
    before: Sequence[ImageRecord],
    after: Sequence[ImageRecord],
    old_names: Sequence[str],
    new_names: Sequence[str],
) -> tuple[ClassChange, ...]:
    """Every class of the new bundle, in its order. before, after: of the same images"""
    earlier, later = class_figures(before, old_names), class_figures(after, new_names)
    return tuple(ClassChange(name, earlier.get(name), later[name]) for name in new_names)


def class_figures(records: Sequence[ImageRecord], class_names: Sequence[str]) -> dict[str, ClassFigures]:
    placed = [record for record in records if is_placed(record)]
    ap50 = (detection_metrics(records, class_names) or {}).get("ap50", {})
    ends = Counter(
        (one.label, end)
        for record in placed
        for one, end in zip(record.truth, box_outcomes(record), strict=True)
    )
    called = Counter(defect.label for record in placed for defect in record.inspection.defects)
    return {
        name: ClassFigures(
            ap50=ap50.get(name),
            found=ends[name, FOUND],
            missed=ends[name, MISSED],
            confused=ends[name, CONFUSED],
            alarms=called[name] - ends[name, FOUND],
        )
        for name in class_names
    }


def box_outcomes(record: ImageRecord) -> list[str]:
    """What became of each true defect of an image."""
    ends = [MISSED] * len(record.truth)
    same = matched_pairs(record, FOUND_IOU, with_type=True)
    free = np.ones(record.iou.shape, np.bool_)
    for row, column in same:
        ends[row] = FOUND
        free[row], free[:, column] = False, False
    confidences = [defect.confidence for defect in record.inspection.defects]
    for row, _ in match(record.iou, confidences, threshold=FOUND_IOU, allowed=free):
        ends[row] = CONFUSED
    return ends


def change_sentences(changes: Sequence[ClassChange]) -> tuple[str, ...]:
    """What a reader must know: classes that lost, and what the new one is found as."""
    lost = [line for change in changes if (line := loss_sentence(change))]
    found = sum(change.before.found for change in changes if change.before)
    kept = [
        f"No older class lost more than {100 * WORTH_SAYING:g} point of AP50 or a single defect."
        if found
        else "The older classes had nothing to lose: none of their defects was found before either."
    ]
    new = [new_sentence(change) for change in changes if change.before is None]
    return (*(lost or kept), *new)


def loss_sentence(change: ClassChange) -> str:
    before, after = change.before, change.after
    if before is None or before.ap50 is None or after.ap50 is None:
        return ""
    fewer = before.found - after.found
    if before.ap50 - after.ap50 <= WORTH_SAYING and fewer <= 0:
        return ""
    total = before.found + before.missed + before.confused
    return (
        f"'{change.label}' lost: AP50 {100 * before.ap50:.1f} → {100 * after.ap50:.1f}; found {before.found} "
        f"→ {after.found} of {total}, confused {before.confused} → {after.confused}."
    )


def new_sentence(change: ClassChange) -> str:
    after = change.after
    total = after.found + after.missed + after.confused
    alarms = f"found {after.alarms} times where none is marked"
    if not total:
        return f"'{change.label}' is marked in none of these images, and {alarms}."
    ap50 = 0.0 if after.ap50 is None else after.ap50
    return f"'{change.label}': AP50 {100 * ap50:.1f}, {after.found} of {total} found, and {alarms}."
