"""Boxes as defects, for methods that outline nothing: the box is the outline, and fills its pixels.

Boxes are xyxy float pixels, half-open. Letters: H, W.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.defect import Defect, Rectangle


def defect_of_box(box_xyxy: Box, label: str, confidence: float, *, mm_per_px: float | None = None) -> Defect:
    """A box as a defect: its four sides are the outline, and the smallest rectangle too. box_xyxy: pixels"""
    left, top, right, bottom = box_xyxy
    width, height = right - left, bottom - top
    centre = ((left + right) / 2, (top + bottom) / 2)
    angle = 0.0 if width >= height else -90.0  # of the longer side
    return Defect(
        label=label,
        confidence=confidence,
        box_xyxy=box_xyxy,
        contour=(((left, top), (right, top), (right, bottom), (left, bottom)),),
        rectangle=Rectangle(centre, max(width, height), min(width, height), angle),
        area=width * height,
        mm_per_px=mm_per_px,
    )


def filled_boxes(defects: Sequence[Defect], size: tuple[int, int]) -> NDArray[np.int32]:
    """Map [H, W] with i + 1 on pixels whose centres lie in the box of defects[i], else 0; the first on top.

    A box that holds no pixel's centre fills the pixel that its own centre lies in.
    """
    numbers = np.zeros(size, np.int32)
    for number, defect in reversed(list(enumerate(defects, start=1))):
        left, top, right, bottom = defect.box_xyxy
        numbers[pixel_span(top, bottom, size[0]), pixel_span(left, right, size[1])] = number
    return numbers


def pixel_span(low: float, high: float, length: int) -> slice:
    """Pixels of an axis of `length` whose centres lie in [low, high), at least one."""
    start, stop = int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))
    if start >= stop:
        start = min(int((low + high) / 2), length - 1)
        stop = start + 1
    return slice(start, stop)
