"""What goes wrong with rare classes, in numbers and in words: with proposals, and after training. What their
sizes and shapes say before is in `blemish.regions.box_statistics`.

Every function returns plain data for JSON, with "sentences" for the report. Letters: n boxes, P proposals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.regions.boxes import box_iou

Boxes = NDArray[np.float32]  # [n, 4] xyxy pixels
Floats = NDArray[np.float64]

LOW_RECALL = 0.8  # what proposals miss, no later part can find
BACKGROUND = "background"
FOUND = "found"


class Placed(Protocol):
    """A named box, such as a true defect. box_xyxy: pixels"""

    @property
    def label(self) -> str: ...

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]: ...


def proposal_recall(
    proposals: Sequence[Boxes],
    boxes: Sequence[Boxes],
    labels: Sequence[NDArray[np.int64]],
    class_names: Sequence[str],
    *,
    iou: float = 0.5,
) -> dict[str, Any]:
    """The share of each class's boxes that some proposal meets at `iou`; None for a class without boxes.

    For each image: proposals [P, 4], boxes [n, 4], and labels [n], class numbers (below 0: left out)
    """
    met: list[list[bool]] = [[] for _ in class_names]
    for proposed, true, numbers in zip(proposals, boxes, labels, strict=True):
        best = box_iou(true, proposed).max(axis=1, initial=0)
        for number, overlap in zip(numbers, best, strict=True):
            if number >= 0:
                met[number].append(bool(overlap >= iou))
    recall = {
        name: float(np.mean(hits)) if hits else None for name, hits in zip(class_names, met, strict=True)
    }
    return {
        "iou": iou,
        "boxes": {name: len(hits) for name, hits in zip(class_names, met, strict=True)},
        "recall": recall,
        "sentences": [recall_sentence(name, share, iou) for name, share in recall.items() if is_low(share)]
        or [f"Proposals meet at least {LOW_RECALL:.0%} of the boxes of every class (IoU {iou:g})."],
    }


def where_rare_went(
    truth: Sequence[Sequence[Placed]],
    detections: Sequence[Sequence[Defect]],
    class_names: Sequence[str],
    *,
    iou: float = 0.5,
) -> dict[str, Any]:
    """What became of each true box of the classes: found, taken for another class, or for background.

    truth, detections: for each image, in the same order; class_names: the rare classes
    A detection finds one box of its class at most, the most confident first; a box not found went to the
    most confident remaining detection of another class that meets it at `iou`, else to the background.
    """
    ends: dict[str, Counter[str]] = {name: Counter() for name in class_names}
    for true, found in zip(truth, detections, strict=True):
        for placed, end in zip(true, ends_of(true, found, iou), strict=True):
            if placed.label in ends:
                ends[placed.label][end] += 1
    classes = {name: counted(end) for name, end in ends.items()}
    return {
        "iou": iou,
        "classes": classes,
        "sentences": [went_sentence(name, one) for name, one in classes.items()],
    }


def is_low(recall: float | None) -> bool:
    return recall is not None and recall < LOW_RECALL


def recall_sentence(name: str, recall: float | None, iou: float) -> str:
    return (
        f"Proposals meet only {recall:.0%} of '{name}' (IoU {iou:g}): the rest cannot be found, "
        "whatever the classifier does."
    )


def ends_of(truth: Sequence[Placed], detections: Sequence[Defect], iou: float) -> list[str]:
    """For each true box of one image: FOUND, the name of another class, or BACKGROUND."""
    ordered = sorted(detections, key=lambda detection: -detection.confidence)
    overlaps = box_iou(boxes_of(truth), boxes_of(ordered)).astype(np.float64)
    ends = [BACKGROUND] * len(truth)
    left = []
    for number, detection in enumerate(ordered):
        own = [i for i, true in enumerate(truth) if true.label == detection.label and ends[i] == BACKGROUND]
        best = max(own, key=lambda i: overlaps[i, number], default=None)
        if best is not None and overlaps[best, number] >= iou:
            ends[best] = FOUND
        else:
            left.append(number)
    for i, true in enumerate(truth):
        others = (ordered[n].label for n in left if overlaps[i, n] >= iou and ordered[n].label != true.label)
        ends[i] = ends[i] if ends[i] == FOUND else next(others, BACKGROUND)
    return ends


def boxes_of(items: Sequence[Placed] | Sequence[Defect]) -> Floats:
    return np.array([item.box_xyxy for item in items], np.float64).reshape(-1, 4)


def counted(ends: Counter[str]) -> dict[str, Any]:
    others = {name: ends[name] for name in sorted(ends) if name not in (FOUND, BACKGROUND)}
    return {FOUND: ends[FOUND], BACKGROUND: ends[BACKGROUND], "other": others}


def went_sentence(name: str, one: Mapping[str, Any]) -> str:
    """How many were found, and what was mostly made of the rest."""
    total = one[FOUND] + one[BACKGROUND] + sum(one["other"].values())
    if not total:
        return f"'{name}': no true box among these images."
    line = f"'{name}': {one[FOUND]} of {total} found"
    lost = [f"{one[BACKGROUND]} for background"] if one[BACKGROUND] else []
    lost += [
        f"{n} for '{other}'"
        for other, n in sorted(one["other"].items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return f"{line}; taken {', '.join(lost)}." if lost else f"{line}."
