"""What goes wrong with rare classes, in numbers and in words: before training, with proposals, and after.

Every function returns plain data for JSON, with "sentences" for the report. Letters: n boxes, P proposals,
A anchor shapes.
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

USUAL = (0.05, 0.95)  # quantiles of the common boxes between which a rare box is nothing unusual
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MANY = 0.2  # share of a class's boxes from which a gap is worth a sentence
LOW_RECALL = 0.8  # what proposals miss, no later part can find
ANCHOR_IOU = 0.5  # below, an anchor must be moved far to become the box
BACKGROUND = "background"
FOUND = "found"


class Placed(Protocol):
    """A named box, such as a true defect. box_xyxy: pixels"""

    @property
    def label(self) -> str: ...

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]: ...


def gaps(
    common: Mapping[str, Boxes],
    rare: Mapping[str, Boxes],
    *,
    anchor_sizes: Sequence[int],
    aspect_ratios: Sequence[float],
) -> dict[str, Any]:
    """How far the rare boxes differ from the common ones in size and shape, and from the anchors.

    common, rare: class name to boxes [n, 4] in pixels of the network's input
    anchor_sizes: square roots of areas, pixels, of all maps; aspect_ratios: height / width
    Anchors are taken as lying exactly on each box, so that the share that is off them is the least there is.
    """
    usual = np.concatenate([*common.values(), np.zeros((0, 4), np.float32)])
    anchors = anchor_shapes(anchor_sizes, aspect_ratios)
    classes = {name: class_shape(boxes, anchors) for name, boxes in {**common, **rare}.items()}
    sentences: list[str] = []
    for name, boxes in rare.items():
        if len(boxes):
            sentences += size_sentences(name, sizes_of(boxes), sizes_of(usual))
            sentences += aspect_sentences(name, aspects_of(boxes), aspects_of(usual))
    for name, shape in classes.items():
        sentences += anchor_sentences(name, shape["off_anchors"], shape["size"])
    if not sentences:
        sentences = ["The rare boxes are of the common ones' sizes and shapes, and the anchors fit them."]
    return {"classes": classes, "common": class_shape(usual, anchors), "sentences": sentences}


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


def anchor_shapes(sizes: Sequence[int], ratios: Sequence[float]) -> Floats:
    """(width, height) of every anchor, [A, 2]."""
    return np.array([(size / ratio**0.5, size * ratio**0.5) for size in sizes for ratio in ratios])


def class_shape(boxes: Boxes, anchors: Floats) -> dict[str, Any]:
    """Quantiles of size and aspect, and the share of boxes that no anchor fits."""
    if not len(boxes):
        return {"boxes": 0, "size": None, "aspect": None, "off_anchors": None}
    return {
        "boxes": len(boxes),
        "size": quantiles(sizes_of(boxes)),
        "aspect": quantiles(aspects_of(boxes)),
        "off_anchors": float(np.mean(best_anchor(boxes, anchors) < ANCHOR_IOU)),
    }


def quantiles(values: Floats) -> dict[str, float]:
    return {f"{share:g}": round(float(np.quantile(values, share)), 3) for share in QUANTILES}


def sides_of(boxes: Boxes) -> Floats:
    """(width, height) of boxes, [n, 2]."""
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6).astype(np.float64)


def sizes_of(boxes: Boxes) -> Floats:
    """Square roots of the boxes' areas, [n] pixels."""
    return np.sqrt(sides_of(boxes).prod(axis=1))


def aspects_of(boxes: Boxes) -> Floats:
    """Height / width of the boxes, [n]."""
    sides = sides_of(boxes)
    return sides[:, 1] / sides[:, 0]


def best_anchor(boxes: Boxes, anchors: Floats) -> Floats:
    """[n]: IoU of each box with the anchor shape [A, 2] that fits it best, both about one centre."""
    sides = sides_of(boxes)
    shared = np.minimum(sides[:, None], anchors).prod(axis=2)
    either = sides.prod(axis=1)[:, None] + anchors.prod(axis=1) - shared
    return (shared / either).max(axis=1)


def size_sentences(name: str, sizes: Floats, usual: Floats) -> list[str]:
    low, high, below, above = outside(sizes, usual)
    between = f"common ones lie between {low:.0f} and {high:.0f} px (5–95 %)"
    lines = []
    if below >= MANY:
        lines.append(
            f"{below:.0%} of '{name}' are smaller than usual: median {np.median(sizes):.0f} px, {between}."
        )
    if above >= MANY:
        lines.append(
            f"{above:.0%} of '{name}' are larger than usual: median {np.median(sizes):.0f} px, {between}."
        )
    return lines


def aspect_sentences(name: str, aspects: Floats, usual: Floats) -> list[str]:
    low, high, below, above = outside(aspects, usual)
    between = f"height / width {np.median(aspects):.2g}, common ones {low:.2g} to {high:.2g} (5–95 %)"
    lines = []
    if below >= MANY:
        lines.append(f"{below:.0%} of '{name}' are flatter than usual: median {between}.")
    if above >= MANY:
        lines.append(f"{above:.0%} of '{name}' are taller than usual: median {between}.")
    return lines


def outside(values: Floats, usual: Floats) -> tuple[float, float, float, float]:
    """The usual range, and the shares of `values` below and above it; no usual values, nothing outside."""
    if not len(usual):
        return 0.0, 0.0, 0.0, 0.0
    low, high = (float(edge) for edge in np.quantile(usual, USUAL))
    return low, high, float(np.mean(values < low)), float(np.mean(values > high))


def anchor_sentences(name: str, off: float | None, size: Mapping[str, float] | None) -> list[str]:
    if off is None or size is None or off < MANY:
        return []
    return [
        f"{off:.0%} of '{name}' fit no anchor (IoU below {ANCHOR_IOU:g}; median size {size['0.5']:.0f} px): "
        "set anchor_sizes or aspect_ratios."
    ]


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
