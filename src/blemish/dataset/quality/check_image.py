"""Checking a single image of a dataset: it is decoded whole, and its annotations are held against its pixels.

Shape letters: H, W.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from blemish.dataset.boxes import Boxed, boxed_instances
from blemish.dataset.hashing import pixel_hash
from blemish.dataset.masks import annotation_masks
from blemish.dataset.quality.near_duplicates import SmallImage, small_image
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError, nearest_name
from blemish.images.bit_depth import used_bits
from blemish.images.decode import read_image

ERROR, WARNING = "error", "warning"
EDGE = 1e-3  # pixels that shares of the image's size lose to rounding


@dataclass(frozen=True)
class Problem:
    """A line for the user. severity: "error" (the data cannot be used so) or "warning"."""

    severity: str
    message: str


@dataclass(frozen=True)
class ImageFinding:
    """Findings on one image.

    size, mode, content: None when the image cannot be decoded; mode: "gray", "colour", "16-bit gray" …
    boxes: of all that is marked with a place; small: the thumbnail that near duplicates are found by
    used_bits: that hold the greatest value of a 16-bit image; None for one of 8 bits
    content: hash of the pixels; marks: hash-like summary of everything marked, equal for equal marks
    """

    sample: Sample
    size: tuple[int, int] | None
    mode: str | None
    content: str | None
    marks: tuple[Any, ...]
    problems: tuple[Problem, ...]
    boxes: tuple[Boxed, ...] = ()
    small: SmallImage | None = field(default=None, compare=False, repr=False)
    used_bits: int | None = None


def check_image(sample: Sample, class_names: Sequence[str]) -> ImageFinding:
    """Decode the image and hold every annotation against it; never raises for bad data."""
    labels = tuple(unknown_labels(sample, class_names))
    try:
        pixels = read_image(sample.image)
    except BlemishError as error:
        return ImageFinding(sample, None, None, None, (), (*labels, Problem(ERROR, str(error))))
    size = (pixels.shape[0], pixels.shape[1])
    masks, mask_problems = check_masks(sample, size)
    box_problems = tuple(problem for a in sample.annotations for problem in check_box(a, sample, size))
    reference = tuple(check_reference(sample, size))
    marks = tuple(sorted((a.label, str(a.box_xyxy)) for a in sample.annotations)) + masks
    problems = (*labels, *mask_problems, *box_problems, *reference)
    whole = all(problem.severity != ERROR for problem in mask_problems)
    boxes = tuple(boxed_instances(sample, size)) if whole else ()
    colour = "gray" if pixels.ndim == 2 else "colour"
    deep = pixels.dtype == np.uint16
    return ImageFinding(
        sample,
        size,
        f"16-bit {colour}" if deep else colour,
        pixel_hash(pixels),
        marks,
        problems,
        boxes,
        small_image(pixels),
        used_bits(pixels) if deep else None,
    )


def unknown_labels(sample: Sample, class_names: Sequence[str]) -> Iterator[Problem]:
    for label in dict.fromkeys(a.label for a in sample.annotations):
        if label not in class_names:
            hint = nearest_name(label, class_names)
            known = ", ".join(class_names)
            yield Problem(
                ERROR,
                f"{sample.image} must be marked with known classes ({known}). Received: '{label}'.{hint} "
                "Correct the annotation or add the class.",
            )


def check_masks(sample: Sample, size: tuple[int, int]) -> tuple[tuple[Any, ...], tuple[Problem, ...]]:
    """(hashes of the masks' pixels, problems)."""
    hashes: list[Any] = []
    problems: list[Problem] = []
    try:
        for annotation, mask in annotation_masks(sample, size):
            hashes.append((annotation.label, pixel_hash(mask)))
            if not mask.any():
                problems.append(
                    Problem(
                        WARNING,
                        f"{sample.image} must show where its {annotation.label} is. Received: an empty mask. "
                        "Draw it or remove the annotation.",
                    )
                )
    except BlemishError as error:
        problems.append(Problem(ERROR, str(error)))
    return tuple(sorted(hashes)), tuple(problems)


def check_box(annotation: Annotation, sample: Sample, size: tuple[int, int]) -> Iterator[Problem]:
    """Problems of a box: empty or wholly outside, it marks nothing; over the edge, it is cut there."""
    if annotation.box_xyxy is None:
        return
    left, top, right, bottom = annotation.box_xyxy
    height, width = size
    text = f"{annotation.label} box ({left:g}, {top:g}, {right:g}, {bottom:g})"
    if not (left < right and top < bottom):
        yield Problem(ERROR, f"{sample.image}: a box must have an area. Received: {text}. Correct the box.")
    elif left >= width or top >= height or right <= 0 or bottom <= 0:
        yield Problem(
            ERROR,
            f"{sample.image}: a box must lie in the image, {width}×{height}. Received: {text}. Correct it.",
        )
    elif left < -EDGE or top < -EDGE or right > width + EDGE or bottom > height + EDGE:
        yield Problem(
            WARNING,
            f"{sample.image}: a box should end in the image, {width}×{height}. Received: {text}. Cut it.",
        )


def check_reference(sample: Sample, size: tuple[int, int]) -> Iterator[Problem]:
    """Problems of the aligned image of a good part: it must be whole and as large as the image."""
    if sample.reference is None:
        return
    try:
        shape = read_image(sample.reference).shape[:2]
    except BlemishError as error:
        yield Problem(ERROR, str(error))
        return
    if shape != size:
        yield Problem(
            ERROR,
            f"{sample.reference} must be as large as {sample.image}. Received: {shape[1]}×{shape[0]} for "
            f"{size[1]}×{size[0]}. Align the images.",
        )
