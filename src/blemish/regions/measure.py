"""Box, outline and smallest rectangle of a region, along pixel edges: a pixel is 1 long and 1 wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Point
from blemish.defect import Rectangle
from blemish.regions.runs import RunLengthMask, as_runs, joined
from blemish.regions.tracing import outer_loops

Outline = tuple[Point, ...]
Loop = NDArray[Any]  # [corners, 2] of x and y


def bounding_box(
    pixels: NDArray[np.bool_] | RunLengthMask, *, offset_xy: tuple[int, int] = (0, 0)
) -> tuple[float, float, float, float]:
    """Half-open xyxy box of the pixels.

    pixels: a mask [H, W] or run lengths, not empty; offset_xy: where its first pixel lies in the image
    """
    runs = as_runs(pixels)
    left, top = offset_xy
    return (
        float(runs.starts.min() + left),
        float(runs.rows[0] + top),
        float(runs.stops.max() + left),
        float(runs.rows[-1] + 1 + top),
    )


def outlines(
    pixels: NDArray[np.bool_] | RunLengthMask, *, offset_xy: tuple[int, int] = (0, 0)
) -> tuple[Outline, ...]:
    """Outer outlines along pixel edges, a closed polygon per 8-connected part; a pixel is a unit square.

    pixels: a mask [H, W] or run lengths; offset_xy: where its first pixel lies in the image
    """
    (loops,) = loops_of([as_runs(pixels)], [offset_xy])
    return as_outlines(loops)


def smallest_rectangle(contour: tuple[Outline, ...]) -> Rectangle:
    """Rectangle of least area, at any angle, around all corners. contour: at least one polygon, pixels"""
    return rectangle_around([np.array(part) for part in contour])


def loops_of(masks: Sequence[RunLengthMask], offsets_xy: Sequence[tuple[int, int]]) -> list[list[Loop]]:
    """Outer loops of each region; all are traced at once, one above the other in a tall image.

    masks: of the regions, each from row 0 on; offsets_xy: where the first pixel of each lies in the image
    """
    heights = [int(runs.rows[-1]) + 2 if len(runs) else 1 for runs in masks]  # a row between: none touch
    tops = np.cumsum([0, *heights])
    traced = outer_loops(joined(runs.moved(0, top) for runs, top in zip(masks, tops, strict=False)))
    found: list[list[Loop]] = [[] for _ in masks]
    for loop in traced:
        own = int(tops.searchsorted(loop[0, 1], side="right")) - 1
        left, top = offsets_xy[own]
        found[own].append(loop + np.array([left, top - int(tops[own])]))
    return found


def as_outlines(loops: Sequence[Loop]) -> tuple[Outline, ...]:
    """Loops [corners, 2] as polygons of plain floats."""
    return tuple(tuple(zip(*loop.T.astype(np.float64).tolist(), strict=True)) for loop in loops)


def rectangle_around(loops: Sequence[Loop]) -> Rectangle:
    """Rectangle of least area, at any angle, around all corners of the loops [corners, 2]."""
    corners = np.concatenate(loops)
    left, top = (float(low) for low in corners.min(axis=0))  # 32 bits are few for corners far down a web
    (x, y), (first, second), angle = cv2.minAreaRect((corners - (left, top)).astype(np.float32))
    if first < second:
        first, second, angle = second, first, angle + 90
    return Rectangle((x + left, y + top), float(first), float(second), (angle + 90) % 180 - 90)
