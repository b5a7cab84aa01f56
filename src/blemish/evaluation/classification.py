"""Classification metrics: how often the defects that were found got their right class.

True and found defects are matched by place alone, so that a wrong class shows as such and not as a miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blemish.evaluation.defects import MATCH_IOU, is_placed, pairings
from blemish.evaluation.pixel import ratio
from blemish.evaluation.records import ImageRecord

MISSED = "missed"
FALSE_ALARM = "false alarm"


def type_metrics(
    records: Sequence[ImageRecord], class_names: Sequence[str], *, threshold: float = MATCH_IOU
) -> dict[str, Any] | None:
    """The "type" part of metrics.json; None with fewer than two classes, or no true defect with a place.

    confusion: true label → found label → defects; the column "missed" holds those not found, the row "false
        alarm" what was found where no defect is
    """
    placed = [record for record in records if is_placed(record)]
    if len(class_names) < 2 or not any(record.truth for record in placed):
        return None
    pairs = [pair for record in placed for pair in label_pairs(record, threshold)]
    confusion = confusion_matrix(pairs, class_names)
    return {"accuracy": accuracy_of(confusion), "iou": threshold, "confusion": confusion}


def accuracy_of(confusion: Mapping[str, Mapping[str, int]]) -> float | None:
    """Share of true defects with the right class among those found, in [0, 1]; None without any found."""
    cells = [(true, found, n) for true, row in confusion.items() for found, n in row.items()]
    matched = [(true == found, n) for true, found, n in cells if true != FALSE_ALARM and found != MISSED]
    return ratio(sum(n for same, n in matched if same), sum(n for _, n in matched))


def confusion_matrix(
    pairs: Sequence[tuple[str, str]], class_names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Counts of (true label, found label), with "missed" and "false alarm"; unknown labels get their own."""
    rows = dict.fromkeys((*class_names, *(true for true, _ in pairs if true != FALSE_ALARM), FALSE_ALARM))
    columns = dict.fromkeys((*class_names, *(found for _, found in pairs if found != MISSED), MISSED))
    confusion = {true: dict.fromkeys(columns, 0) for true in rows}
    for true, found in pairs:
        confusion[true][found] += 1
    return confusion


def label_pairs(record: ImageRecord, threshold: float) -> list[tuple[str, str]]:
    """(True label, found label) of every true and every found defect of an image."""
    found = record.inspection.defects
    return [
        (
            FALSE_ALARM if row is None else record.truth[row].label,
            MISSED if column is None else found[column].label,
        )
        for row, column in pairings(record, threshold)
    ]
