"""Outcome of each true box: found, taken for another class, or for background. In numbers and in words.

Letters: n true boxes of an image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from blemish.arrays import Boxes
from blemish.dataset.boxes import Boxed
from blemish.defect import Defect
from blemish.regions.boxes import box_iou

BACKGROUND = "background"
FOUND = "found"


def box_outcomes(labels: Sequence[str], boxes: Boxes, detections: Sequence[Defect], iou: float) -> list[str]:
    """FOUND, the name of another class or BACKGROUND, for each true box of one image.

    labels: n class names; boxes: [n, 4] pixels
    A detection finds one box of its class at most, the most confident first; a box not found went to the
    most confident remaining detection of another class that meets it at `iou`, else to the background.
    """
    ordered = sorted(detections, key=lambda detection: -detection.confidence)
    overlaps = box_iou(boxes, boxes_of(ordered)).astype(np.float64)
    outcomes = [BACKGROUND] * len(labels)
    left = []
    for number, detection in enumerate(ordered):
        own = [i for i, label in enumerate(labels) if label == detection.label and outcomes[i] == BACKGROUND]
        best = max(own, key=lambda i: overlaps[i, number], default=None)
        if best is not None and overlaps[best, number] >= iou:
            outcomes[best] = FOUND
        else:
            left.append(number)
    for i, label in enumerate(labels):
        others = (ordered[n].label for n in left if overlaps[i, n] >= iou and ordered[n].label != label)
        outcomes[i] = outcomes[i] if outcomes[i] == FOUND else next(others, BACKGROUND)
    return outcomes


def boxes_of(items: Sequence[Boxed] | Sequence[Defect]) -> Boxes:
    """Corners of true boxes or detections, [n, 4] float64."""
    return np.array([item.box_xyxy for item in items], np.float64).reshape(-1, 4)


def counted(outcomes: Counter[str]) -> dict[str, Any]:
    """Counts by outcome as plain data: found, background, and other classes by name."""
    others = {name: outcomes[name] for name in sorted(outcomes) if name not in (FOUND, BACKGROUND)}
    return {FOUND: outcomes[FOUND], BACKGROUND: outcomes[BACKGROUND], "other": others}


def outcome_sentence(name: str, counts: Mapping[str, Any]) -> str:
    """Sentence on how many boxes of a class were found, and what the others were taken for."""
    total = counts[FOUND] + counts[BACKGROUND] + sum(counts["other"].values())
    if not total:
        return f"'{name}': no true box among these images."
    line = f"'{name}': {counts[FOUND]} of {total} found"
    lost = [f"{counts[BACKGROUND]} taken for background"] if counts[BACKGROUND] else []
    others = sorted(counts["other"].items(), key=lambda pair: (-pair[1], pair[0]))
    lost += [f"{number} taken for '{other}'" for other, number in others]
    return f"{line}; {', '.join(lost)}." if lost else f"{line}."
