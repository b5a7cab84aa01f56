"""Faults of an annotation's coordinates against its image, as rules: "a box must {rule}".

Checking names them, conversion refuses them. Sizes are (height, width); "" stands for no fault.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from blemish.arrays import Box, Size
from blemish.dataset.samples import Polygon

EDGE = 1e-3  # pixels that shares of the image's size lose to rounding
FARTHEST = 1e9  # pixels; a corner beyond is no place, and its differences lose all digits
NUMBERS = "be of finite numbers"


def box_fault(box_xyxy: Box, size: Size) -> str:
    """Rule that a box breaks so that it marks nothing; a box over the edge breaks none."""
    left, top, right, bottom = box_xyxy
    height, width = size
    if not are_places(box_xyxy):
        return NUMBERS
    if not (left < right and top < bottom):
        return "have an area"
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return f"lie in the image, {width}×{height}"
    return ""


def outline_fault(polygons: Sequence[Polygon], size: Size) -> str:
    """Rule that the polygons of an annotation break so that they mark nothing, or nobody knows what."""
    if not all(are_places(corner) for polygon in polygons for corner in polygon):
        return NUMBERS
    left, top, right, bottom = extent(polygons)
    height, width = size
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return f"lie in the image, {width}×{height}"
    return ""


def reaches_out(box_xyxy: Box, size: Size) -> bool:
    """True for a box that ends outside the image, by more than rounding does."""
    left, top, right, bottom = box_xyxy
    height, width = size
    return left < -EDGE or top < -EDGE or right > width + EDGE or bottom > height + EDGE


def extent(polygons: Sequence[Polygon]) -> Box:
    """Box around all corners."""
    xs = [x for polygon in polygons for x, _ in polygon]
    ys = [y for polygon in polygons for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)


def are_places(values: Sequence[float]) -> bool:
    return all(math.isfinite(value) and abs(value) <= FARTHEST for value in values)
