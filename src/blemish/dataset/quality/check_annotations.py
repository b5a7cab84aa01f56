"""Holding the annotations of an image against its size, and against each other.

Shape letters: N annotations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box, Size
from blemish.dataset.faults import box_fault, extent, outline_fault, reaches_out
from blemish.dataset.hashing import pixel_hash
from blemish.dataset.masks import annotation_masks
from blemish.dataset.quality.problems import ERROR, WARNING, Problem
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError

SAME_PLACE = 0.9  # intersection over union from which two annotations mark the same place
NEARLY_SAME = 0.95  # the same of two boxes of a class
CONTRARY = 0.5  # below it, a box does not fit the outline of its annotation
MAX_COMPARED = 2000  # annotations of an image whose places are compared, two by two


def check_annotations(sample: Sample, size: Size) -> tuple[tuple[Any, ...], tuple[Problem, ...]]:
    """(hashes of the outlines' pixels, problems) of an image of `size`; a faulty outline has no hash."""
    hashes: list[Any] = []
    problems: list[Problem] = []
    around: list[Box | None] = []
    for annotation in sample.annotations:
        pixels, found = check_outline(annotation, sample, size)
        problems += found
        box = None if pixels is None else extent_of(pixels)
        if pixels is not None:
            hashes.append((annotation.label, pixel_hash(pixels)))
        problems += check_box(annotation, sample, size, box)
        around.append(box or annotation.box_xyxy)
    problems += same_annotations(sample)
    problems += nearly_same_boxes(sample)
    problems += other_class_at(sample, around)
    return tuple(sorted(hashes)), tuple(problems)


def check_outline(
    annotation: Annotation, sample: Sample, size: Size
) -> tuple[NDArray[np.bool_] | None, list[Problem]]:
    """Pixels [H, W] of an annotation's outline, None without one that can be drawn; and its problems."""
    place, (height, width) = sample.image, size
    problems = []
    if annotation.mask is None and annotation.polygons:
        if fault := outline_fault(annotation.polygons, size):
            text = f"{place}: an outline must {fault}. Received: one of {annotation.label}. Correct it."
            return None, [Problem(ERROR, text, "outline-fault")]
        if reaches_out(extent(annotation.polygons), size):
            numbers = numbers_of(extent(annotation.polygons))
            text = (
                f"{place}: an outline should end in the image, {width}×{height}. Received: one of "
                f"{annotation.label} within ({numbers}). Cut it."
            )
            problems.append(Problem(WARNING, text, "outline-over-edge"))
    try:
        masks = [mask for _, mask in annotation_masks(replace(sample, annotations=(annotation,)), size)]
    except BlemishError as error:
        return None, [Problem(ERROR, str(error), "mask-fault")]
    if masks and not masks[0].any():
        what = "an empty mask" if annotation.mask is not None else "an outline that encloses no pixel"
        text = (
            f"{place} must show where its {annotation.label} is. Received: {what}. "
            "Draw it or remove the annotation."
        )
        problems.append(Problem(WARNING, text, "empty-outline"))
    return (masks[0] if masks else None), problems


def extent_of(mask: NDArray[np.bool_]) -> Box | None:
    """Box around the pixels of a mask [H, W]; None without any."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def check_box(annotation: Annotation, sample: Sample, size: Size, outline: Box | None) -> Iterator[Problem]:
    """Problems of a box: empty or wholly outside, it marks nothing; over the edge, it is cut there.

    outline: box around the pixels of the annotation's outline, which is taken in the place of a faulty box
    """
    box = annotation.box_xyxy
    if box is None:
        return
    height, width = size
    text = f"{annotation.label} box ({numbers_of(box)})"
    fault = box_fault(box, size)
    if outline is not None and (fault or overlaps(np.array([box, outline]))[0, 1] < CONTRARY):
        yield Problem(
            WARNING,
            f"{sample.image}: a box must fit its outline, within ({numbers_of(outline)}). Received: {text}. "
            "The outline is used; correct the box.",
            "box-contradicts-outline",
        )
    elif fault:
        yield Problem(
            ERROR, f"{sample.image}: a box must {fault}. Received: {text}. Correct it.", "box-fault"
        )
    elif outline is None and min(box[2] - box[0], box[3] - box[1]) < 1 and min(size) > 1:
        yield Problem(
            WARNING,
            f"{sample.image}: a box should be a pixel wide and high. Received: {text}, smaller than a pixel. "
            "Multiply it by the image's size if it is in shares.",
            "box-below-pixel",
        )
    elif reaches_out(box, size):
        yield Problem(
            WARNING,
            f"{sample.image}: a box should end in the image, {width}×{height}. Received: {text}. Cut it.",
            "box-over-edge",
        )


def same_annotations(sample: Sample) -> Iterator[Problem]:
    """Problems of annotations that are equal in all but their ids: an import that ran twice."""
    counts = Counter(replace(annotation, id="") for annotation in sample.annotations)
    for annotation, number in counts.items():
        if number > 1:
            where = "" if annotation.box_xyxy is None else f" at ({numbers_of(annotation.box_xyxy)})"
            yield Problem(
                WARNING,
                f"{sample.image}: {number} times the same annotation, {annotation.label}{where}. Keep one.",
                "same-annotation",
            )


def nearly_same_boxes(sample: Sample) -> Iterator[Problem]:
    """Problems of boxes of a class, not equal, that mark the same place but for rounding."""
    boxed = [(a.label, a.box_xyxy) for a in sample.annotations if a.box_xyxy and not a.has_outline]
    kept = [*dict.fromkeys(boxed)][:MAX_COMPARED]
    if len(kept) < 2:
        return
    labels, boxes = np.array([label for label, _ in kept]), np.array([box for _, box in kept])
    alike = overlaps(boxes) >= NEARLY_SAME
    for first, second in np.argwhere(np.triu(alike & (labels[:, None] == labels), k=1)).tolist():
        where = " and ".join(f"({numbers_of(kept[n][1])})" for n in (first, second))
        yield Problem(
            WARNING,
            f"{sample.image}: nearly the same box twice, {labels[first]} at {where}. Keep one.",
            "nearly-same-box",
        )


def other_class_at(sample: Sample, boxes: Sequence[Box | None]) -> Iterator[Problem]:
    """Problems of annotations of different classes that mark the same place. boxes: one per annotation"""
    placed = [
        (annotation.label, box)
        for annotation, box in zip(sample.annotations, boxes, strict=True)
        if box is not None and not annotation.crowd
    ][:MAX_COMPARED]
    if len({label for label, _ in placed}) < 2:
        return
    labels = np.array([label for label, _ in placed])
    same = overlaps(np.array([box for _, box in placed])) >= SAME_PLACE
    for first, second in np.argwhere(np.triu(same & (labels[:, None] != labels))).tolist():
        yield Problem(
            WARNING,
            f"{sample.image}: a place should have one class. Received: {labels[first]} and {labels[second]} "
            f"at ({numbers_of(placed[first][1])}). Decide which is right.",
            "two-classes",
        )


def overlaps(boxes_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each box with each, [N, N]; 0 where either has no area."""
    with np.errstate(all="ignore"):
        low = np.maximum(boxes_xyxy[:, None, :2], boxes_xyxy[:, :2])
        high = np.minimum(boxes_xyxy[:, None, 2:], boxes_xyxy[:, 2:])
        common = (high - low).clip(min=0).prod(axis=2)
        areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clip(min=0).prod(axis=1)
        return np.nan_to_num(common / (areas[:, None] + areas - common))


def numbers_of(box: Box) -> str:
    return ", ".join(f"{value:g}" for value in box)
