"""Comparison of a bundle before and after a change, class by class, on the same images.

A true defect is found where a detection of its class matches it at IoU 0.5, confused where only a detection
of another class does, and missed otherwise; detections are those that the bundle calls defects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.defects import is_placed, matched_pairs, unjudged
from blemish.evaluation.detection import detection_metrics
from blemish.evaluation.matching import match
from blemish.evaluation.records import ImageRecord

FOUND_IOU = 0.5
FOUND, CONFUSED, MISSED = "found", "confused", "missed"
WORTH_SAYING = 0.01  # of AP50


@dataclass(frozen=True)
class ClassFigures:
    """Figures of a class over the images.

    ap50: in [0, 1], None without a true defect of the class; found, missed, confused: numbers of true defects
    alarms: detections of the class that match no true defect of it and lie in no ignored region of it
    """

    ap50: float | None
    found: int
    missed: int
    confused: int
    alarms: int


@dataclass(frozen=True)
class ClassChange:
    """Figures of a class before and after; before is None for a new class.

    lost: defects of those found before that are not found after; None for a new class
    """

    label: str
    before: ClassFigures | None
    after: ClassFigures
    lost: ProportionBound | None = None


def class_changes(
    before: Sequence[ImageRecord],
    after: Sequence[ImageRecord],
    old_names: Sequence[str],
    new_names: Sequence[str],
) -> tuple[ClassChange, ...]:
    """Change of every class of the new bundle, in its order. before, after: records of the same images"""
    earlier, later = class_figures(before, old_names), class_figures(after, new_names)
    lost = lost_defects(before, after)
    return tuple(
        ClassChange(
            name,
            earlier.get(name),
            later[name],
            proportion_bound(lost[name], earlier[name].found) if name in earlier else None,
        )
        for name in new_names
    )


def lost_defects(before: Sequence[ImageRecord], after: Sequence[ImageRecord]) -> Counter[str]:
    """Number of each class's true defects that were found before and are not after, on the same images."""
    return Counter(
        defect.label
        for earlier, later in zip(before, after, strict=True)
        if is_placed(earlier)
        for defect, first, then in zip(earlier.truth, box_outcomes(earlier), box_outcomes(later), strict=True)
        if first == FOUND != then
    )


def class_figures(records: Sequence[ImageRecord], class_names: Sequence[str]) -> dict[str, ClassFigures]:
    """Figures of each class over the images whose defects have a known place."""
    placed = [record for record in records if is_placed(record)]
    ap50 = (detection_metrics(records, class_names) or {}).get("ap50", {})
    outcomes = Counter(
        (defect.label, outcome)
        for record in placed
        for defect, outcome in zip(record.truth, box_outcomes(record), strict=True)
    )
    called = Counter(defect.label for record in placed for defect in record.inspection.defects)
    called -= Counter(
        record.inspection.defects[column].label
        for record in placed
        for column in unjudged(record, FOUND_IOU, with_type=True)
    )
    return {
        name: ClassFigures(
            ap50=ap50.get(name),
            found=outcomes[name, FOUND],
            missed=outcomes[name, MISSED],
            confused=outcomes[name, CONFUSED],
            alarms=called[name] - outcomes[name, FOUND],
        )
        for name in class_names
    }


def box_outcomes(record: ImageRecord) -> list[str]:
    """Outcome of each true defect of an image: found, confused or missed."""
    outcomes = [MISSED] * len(record.truth)
    same = matched_pairs(record, FOUND_IOU, with_type=True)
    free = np.ones(record.iou.shape, np.bool_)
    for row, column in same:
        outcomes[row] = FOUND
        free[row], free[:, column] = False, False
    confidences = [defect.confidence for defect in record.inspection.defects]
    for row, _ in match(record.iou, confidences, threshold=FOUND_IOU, allowed=free):
        outcomes[row] = CONFUSED
    return outcomes


def change_sentences(changes: Sequence[ClassChange]) -> tuple[str, ...]:
    """Sentences for the reader: older classes that got worse, and how well the new class is found."""
    lost = [line for change in changes if (line := loss_sentence(change))]
    found = sum(change.before.found for change in changes if change.before)
    no_loss = (
        f"No older class lost a defect, or more than {100 * WORTH_SAYING:g} point of AP50. With {found} "
        f"found before, at most {100 * proportion_bound(0, found).upper95:.3g} % are lost (95 % bound)."
        if found
        else "None of the older classes' defects was found before, so they could not get worse."
    )
    new = [new_sentence(change) for change in changes if change.before is None]
    return (*(lost or [no_loss]), *new)


def loss_sentence(change: ClassChange) -> str:
    """Sentence on an older class that got worse; "" for any other."""
    before, after = change.before, change.after
    if before is None or before.ap50 is None or after.ap50 is None:
        return ""
    fewer = before.found - after.found
    if before.ap50 - after.ap50 <= WORTH_SAYING and fewer <= 0:
        return ""
    total = before.found + before.missed + before.confused
    interval = ""
    if change.lost is not None and change.lost.of:
        low, high = 100 * change.lost.lower95, 100 * change.lost.upper95
        interval = (
            f" Of the {change.lost.of} found before, {change.lost.n} are lost: {low:.3g} to {high:.3g} % "
            "(95 % bounds)."
        )
    return (
        f"'{change.label}' got worse: AP50 {100 * before.ap50:.1f} → {100 * after.ap50:.1f}; found "
        f"{before.found} → {after.found} of {total}, confused {before.confused} → {after.confused}.{interval}"
    )


def new_sentence(change: ClassChange) -> str:
    """Sentence on how well a new class is found."""
    after = change.after
    total = after.found + after.missed + after.confused
    alarms = f"{after.alarms} false alarm{'' if after.alarms == 1 else 's'}"
    if not total:
        return f"'{change.label}' is marked in none of these images: {alarms}."
    ap50 = 0.0 if after.ap50 is None else after.ap50
    return f"'{change.label}': AP50 {100 * ap50:.1f}, {after.found} of {total} found, {alarms}."
