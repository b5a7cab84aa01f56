"""Measuring a region: box, outline, smallest rectangle. Everything in pixel edges, so one pixel is 1 long and
1 wide.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.defect import Point, Rectangle

Outline = tuple[Point, ...]


def bounding_box(
    mask: NDArray[np.bool_], *, offset_xy: tuple[int, int] = (0, 0)
) -> tuple[float, float, float, float]:
    """Half-open xyxy box of the True pixels. mask: [H, W], not empty; offset_xy: of the mask's first
    pixel.
    """
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    left, top = offset_xy
    return (
        float(columns[0] + left),
        float(rows[0] + top),
        float(columns[-1] + 1 + left),
        float(rows[-1] + 1 + top),
    )


def outlines(mask: NDArray[np.bool_], *, offset_xy: tuple[int, int] = (0, 0)) -> tuple[Outline, ...]:
    """Outer outlines along pixel edges, one closed polygon per 8-connected part; a single pixel is a unit
    square.

    mask: [H, W]; offset_xy: of the mask's first pixel
    """
    # Contours run through pixel centres. On a grid three times as fine, the outermost fine pixels' centres
    # lie a third of a pixel inside each edge, so rounding to the nearest edge is exact.
    fine = np.kron(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(edge_polygon(contour[:, 0, :], offset_xy) for contour in contours)


def edge_polygon(fine: NDArray[np.int32], offset_xy: tuple[int, int]) -> Outline:
    """Corners on the fine grid (0, 2 of each pixel's 0…2) moved to the pixel edges they lie nearest to."""
    edges = (fine + 1) // 3 + np.asarray(offset_xy)
    moved = np.any(edges != np.roll(edges, 1, axis=0), axis=1)
    corners = edges[moved] if moved.any() else edges[:1]
    return tuple((float(x), float(y)) for x, y in corners)


def smallest_rectangle(contour: tuple[Outline, ...]) -> Rectangle:
    """The rectangle of least area, at any angle, around all corners. contour: at least one polygon."""
    corners = np.array([point for part in contour for point in part], np.float32)
    (x, y), (first, second), angle = cv2.minAreaRect(corners)
    if first < second:
        first, second, angle = second, first, angle + 90
    return Rectangle((x, y), float(first), float(second), (angle + 90) % 180 - 90)
