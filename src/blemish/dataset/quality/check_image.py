"""Checking a single image of a dataset: it is decoded whole, and its annotations are held against its pixels.

Shape letters: H, W.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.boxes import Boxed, boxed_instances
from blemish.dataset.hashing import pixel_hash
from blemish.dataset.mask_files import FEW_VALUES
from blemish.dataset.quality.check_annotations import check_annotations
from blemish.dataset.quality.near_duplicates import SmallImage, small_image
from blemish.dataset.quality.problems import ERROR, Problem
from blemish.dataset.samples import Sample
from blemish.errors import BlemishError, nearest_name
from blemish.images.bit_depth import used_bits
from blemish.images.decode import read_image

FEW_ROWS = 64  # rows and columns by which photographs are told from drawings


@dataclass(frozen=True)
class ImageFinding:
    """Findings on one image.

    size, mode, content: None when the image cannot be decoded; mode: "gray", "colour", "16-bit gray" …
    boxes: of all that is marked with a place; small: the thumbnail that near duplicates are found by
    used_bits: that hold the greatest value of a 16-bit image; None for one of 8 bits
    drawn: it has two to seven values, as a mask has and no photograph
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
    drawn: bool = False


def check_image(sample: Sample, class_names: Sequence[str]) -> ImageFinding:
    """Decode the image and hold every annotation against it; never raises for bad data."""
    labels = tuple(unknown_labels(sample, class_names))
    try:
        pixels = read_image(sample.image)
    except BlemishError as error:
        return ImageFinding(sample, None, None, None, (), (*labels, Problem(ERROR, str(error), "image")))
    size = (pixels.shape[0], pixels.shape[1])
    masks, found = check_annotations(sample, size)
    reference = tuple(check_reference(sample, size))
    marks = tuple(sorted((a.label, str(a.box_xyxy)) for a in sample.annotations)) + masks
    problems = (*labels, *found, *reference)
    whole = all(problem.severity != ERROR for problem in found)
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
        is_drawn(pixels),
    )


def is_drawn(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bool:
    """True for an image [H, W] or [H, W, 3] with two to seven different values."""
    step = max(1, min(pixels.shape[:2]) // FEW_ROWS)
    if values_in(pixels[::step, ::step]) >= FEW_VALUES:  # a photograph shows it in a few rows
        return False
    return 1 < values_in(pixels) < FEW_VALUES


def values_in(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> int:
    """Number of different values."""
    return int(np.count_nonzero(np.bincount(pixels.ravel())))


def unknown_labels(sample: Sample, class_names: Sequence[str]) -> Iterator[Problem]:
    for label in dict.fromkeys(a.label for a in sample.annotations):
        if label not in class_names:
            hint = nearest_name(label, class_names)
            known = ", ".join(class_names)
            yield Problem(
                ERROR,
                f"{sample.image} must be marked with known classes ({known}). Received: '{label}'.{hint} "
                "Correct the annotation or add the class.",
                "unknown-class",
            )


def check_reference(sample: Sample, size: tuple[int, int]) -> Iterator[Problem]:
    """Problems of the aligned image of a good part: it must be whole and as large as the image."""
    if sample.reference is None:
        return
    try:
        shape = read_image(sample.reference).shape[:2]
    except BlemishError as error:
        yield Problem(ERROR, str(error), "reference")
        return
    if shape != size:
        yield Problem(
            ERROR,
            f"{sample.reference} must be as large as {sample.image}. Received: {shape[1]}×{shape[0]} for "
            f"{size[1]}×{size[0]}. Align the images.",
            "reference-size",
        )
