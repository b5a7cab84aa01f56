"""Measuring a region: box, outline, smallest rectangle. Everything in pixel edges, so one pixel is 1 long and
1 wide.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.defect import Point, Rectangle
from blemish.regions.runs import Runs, as_runs
from blemish.regions.tracing import outer_loops

Outline = tuple[Point, ...]


def bounding_box(
    pixels: NDArray[np.bool_] | Runs, *, offset_xy: tuple[int, int] = (0, 0)
) -> tuple[float, float, float, float]:
    """Half-open xyxy box of the pixels. pixels: a mask [H, W] or runs, not empty; offset_xy: of its first
    pixel.
    """
    runs = as_runs(pixels)
    left, top = offset_xy
    return (
        float(runs.starts.min() + left),
        float(runs.rows[0] + top),
        float(runs.stops.max() + left),
        float(runs.rows[-1] + 1 + top),
    )


def outlines(pixels: NDArray[np.bool_] | Runs, *, offset_xy: tuple[int, int] = (0, 0)) -> tuple[Outline, ...]:
    """Outer outlines along pixel edges, one closed polygon per 8-connected part; a single pixel is a unit
    square.

    pixels: a mask [H, W] or runs; offset_xy: of its first pixel
    """
    moved = (loop + np.asarray(offset_xy) for loop in outer_loops(as_runs(pixels)))
    return tuple(tuple((float(x), float(y)) for x, y in loop.tolist()) for loop in moved)


def smallest_rectangle(contour: tuple[Outline, ...]) -> Rectangle:
    """The rectangle of least area, at any angle, around all corners. contour: at least one polygon."""
    corners = np.array([point for part in contour for point in part])
    left, top = corners.min(axis=0)  # from there, as 32 bits are few for corners far down a web
    (x, y), (first, second), angle = cv2.minAreaRect((corners - (left, top)).astype(np.float32))
    if first < second:
        first, second, angle = second, first, angle + 90
    return Rectangle((x + float(left), y + float(top)), float(first), float(second), (angle + 90) % 180 - 90)
