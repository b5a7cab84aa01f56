"""Cells in pixels: the map upsampled, and the outline of a component of its cells.

Letters: H, W pixels; h, w cells.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.methods.severity.labels import SEVERITY_MAX
from blemish.regions.runs import RunLengthMask, as_mask, joined, runs_of

BAND = 32  # rows of cells that are interpolated to pixels at once


def upsample(raw: NDArray[np.float32], cell: int, how: str) -> NDArray[np.float32]:
    """Upsample cells [h, w] to pixels [h·cell, w·cell]. how: "linear" between cell centres or "nearest" """
    if cell == 1:
        return raw
    interpolation = cv2.INTER_LINEAR if how == "linear" else cv2.INTER_NEAREST
    return cv2.resize(raw, None, fx=cell, fy=cell, interpolation=interpolation)


def pixels_of(
    raw: NDArray[np.float32],
    part: RunLengthMask,
    size: tuple[int, int],
    *,
    threshold: float,
    cell: int,
    how: str,
) -> RunLengthMask:
    """Pixels of a component, at least one; no pixel belongs to two components.

    With linear upsampling these are the pixels where the interpolated map is at least the threshold, or the
    cells as squares where there is none.
    raw: severities of all cells, [h, w]; part: the component's cells, each of at least the threshold
    size: (H, W); how: see `upsample`
    """
    if cell == 1:
        return part
    if how == "linear":
        runs = joined(
            runs_inside(level_set(raw, cells, first, threshold=threshold, cell=cell), first, cell, size)
            for cells, first in in_bands(*part.from_corner())
        )
        if len(runs):
            return runs
    return part.enlarged(cell).inside(size)


def level_set(
    raw: NDArray[np.float32],
    cells: NDArray[np.bool_],
    first: tuple[int, int],
    *,
    threshold: float,
    cell: int,
) -> NDArray[np.bool_]:
    """Pixels where the interpolated map is at least the threshold and to which a cell of the component
    contributes.

    A pixel is interpolated from the four cells around it. One of them is at least the threshold where it is,
    and two such cells touch, so they are of one component: all components together are the map's level set.
    cells, first: see `in_bands`; returns: [(h - 2)·cell, (w - 2)·cell] without the margin
    """
    (top, left), (height, width) = first, cells.shape
    reach = 2 * (cell // 2) + 1
    squares = cv2.resize(cells.view(np.uint8), (width * cell, height * cell), interpolation=cv2.INTER_NEAREST)
    near = cv2.dilate(squares, np.ones((reach, reach), np.uint8))
    smooth = interpolated(raw, (slice(top, top + height - 2), slice(left, left + width - 2)), cell)
    return near[cell:-cell, cell:-cell].view(np.bool_) & (smooth >= threshold)


def interpolated(raw: NDArray[np.float32], place: tuple[slice, slice], cell: int) -> NDArray[np.float32]:
    """Cells of the map at `place` in pixels, interpolated with their neighbours outside; beyond the map
    its border continues.
    """
    (up, down), (left, right) = ((axis.start - 1, axis.stop + 1) for axis in place)
    height, width = raw.shape
    around = raw[max(0, up) : down, max(0, left) : right]
    if min(up, left) < 0 or down > height or right > width:
        before, after = (max(0, -up), max(0, -left)), (max(0, down - height), max(0, right - width))
        around = np.pad(around, tuple(zip(before, after, strict=True)), "edge")
    return upsample(np.clip(around, 0.0, SEVERITY_MAX), cell, "linear")[cell:-cell, cell:-cell]


def in_bands(
    runs: RunLengthMask, first_xy: tuple[int, int]
) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int]]]:
    """Bands of rows of a component's cells and those next to it, each as narrow as the component there.

    runs: the component's, from the corner of its box on, which lies at first_xy of the map
    returns: cells of the band with a margin of one on every side; (row, column) of the first inside that
    """
    left, top = first_xy
    whole = as_mask(runs.moved(2, 2), (int(runs.rows[-1]) + 5, int(runs.stops.max()) + 4))
    for start in range(1, whole.shape[0] - 1, BAND):
        band = whole[start - 1 : min(start + BAND, whole.shape[0] - 1) + 1]
        used = np.flatnonzero(band.any(axis=0))
        if used.size:
            first, last = int(used[0]) - 1, int(used[-1]) + 2
            yield band[:, first - 1 : last + 1], (top + start - 2, left + first - 2)


def runs_inside(
    mask: NDArray[np.bool_], first: tuple[int, int], cell: int, size: tuple[int, int]
) -> RunLengthMask:
    """Part of a mask within the image, in its coordinates. first: (row, column) of the mask's first cell"""
    top, left = first[0] * cell, first[1] * cell
    down, right = max(0, -top), max(0, -left)
    inside = mask[down : max(0, size[0] - top), right : max(0, size[1] - left)]
    return runs_of(inside).moved(left + right, top + down)
