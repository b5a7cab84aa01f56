"""Detections of classes that were added without training: boxes to score, and their rows.

Proposals have learned where trained classes are; a grid of boxes that knows no class joins them, so that a
defect of another size or shape is met as well. Letters: R boxes, F features, E classes, K all classes.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from blemish.arrays import Boxes, Floats, Integers, Size
from blemish.methods.common.outputs import REMEDY, OutputError
from blemish.methods.tlsdd.runtime.anchors import moved_boxes
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.regions.boxes import box_area, clip_boxes, nms, shared_area, survivors

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the image's sides, for sides of the grid's boxes
STEP = 0.5  # of a box's side, from one box of the grid to the next
DELTA_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of a row's deltas, as of the region head's
INSIDE = 0.5  # share of a box from which it is a part of a surer one


def grid_boxes(size: Size) -> Boxes:
    """Boxes [R, 4] of all pairs of `SHARES` of an image's sides, all over it. size: (height, width)"""
    rows, columns = ([span for share in SHARES for span in spans(length, share)] for length in size)
    return np.array(
        [(left, top, right, bottom) for (top, bottom), (left, right) in product(rows, columns)], np.float32
    )


def with_grid(proposals: Boxes, size: Size) -> Boxes:
    """Proposals [R, 4], and behind them the boxes of the grid."""
    return np.concatenate([proposals, grid_boxes(size)])


def spans(length: float, share: float) -> list[tuple[float, float]]:
    """Starts and ends of a share of a length, evenly from its start to its end."""
    side = share * length
    count = 1 + int(np.ceil((length - side) / (STEP * side) - 1e-6))
    return [(start, start + side) for start in np.linspace(0, length - side, count)]


def enrolled_rows(
    boxes: Boxes, features: Floats, weights: Floats, *, size: Size, trained: int, settings: TlsddSettings
) -> Floats:
    """Rows [N, 4 + K] of the classes' own detections, those of the trained ones 0 in them.

    boxes: [R, 4]; features: [R, F] of them; weights: [E, F + 1, 5], see `EnrolledClasses`
    size: (H, W) of the image; trained: classes in front of these
    Of each class at most `settings.detections`, see `findings`, from the score floor on.
    Raises OutputError for features that are infinite or no numbers.
    """
    extended = np.concatenate([features, np.ones_like(features[:, :1])], axis=1)
    rows = [np.zeros((0, 4 + trained + len(weights)), np.float32)]
    logits = weights[:, :, 0] @ extended.T  # [E, R]
    if not np.isfinite(logits).all():  # such rows would drop out, and an image without rows is clean
        raise OutputError(f"network 'detector': its logits of added classes are not finite. {REMEDY}")
    confidences = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    for number, (of_class, scores) in enumerate(zip(weights, confidences, strict=True)):
        likely = np.flatnonzero(scores >= settings.score_floor)
        moved, kept = findings(
            boxes[likely], extended[likely], of_class, scores[likely], size=size, settings=settings
        )
        own = np.zeros((len(kept), rows[0].shape[1]), np.float32)
        own[:, :4], own[:, 4 + trained + number] = moved, scores[likely][kept]
        rows.append(own)
    return np.concatenate(rows)


def findings(
    boxes: Boxes, extended: Floats, weights: Floats, scores: Floats, *, size: Size, settings: TlsddSettings
) -> tuple[Boxes, Integers]:
    """Boxes of one class, moved by its deltas, and the numbers of their regions, the surest first.

    boxes: [R, 4]; extended: [R, F + 1], features and a 1; weights: [F + 1, 5]; scores: [R], higher is surer
    At most `settings.detections` that overlap no surer one and are no part of one: a row prefers wholes to
    their parts.
    """
    moved = clip_boxes(moved_boxes(boxes, extended @ weights[:, 1:], DELTA_WEIGHTS), size)
    kept = nms(moved, scores, iou=settings.nms)
    kept = kept[box_area(moved[kept]) > 0]
    inside = shared_area(moved[kept], moved[kept]) / box_area(moved[kept])  # of each surer one, of each box
    kept = kept[survivors(inside <= INSIDE)][: settings.detections]
    return moved[kept], kept
