"""Places for labels beside what they name: on no defect, on no other label, inside the sheet, and near.

The sheet is a grid of square cells. Cells that a defect touches, and those around them, are taken; a label
goes to the nearest free place that is large enough. Letters: R rows, C columns of cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Point

Cells = NDArray[np.bool_]  # [R, C]
TRIED = 12  # nearest places whose lines to the defect are looked at
ALIGNED = 0.02  # cells of distance that a place is worth for lying a cell nearer to the defect's middle
CROSSED = 1.0  # cells of distance that a cell of another label costs, where the line runs over it


@dataclass(frozen=True)
class Place:
    """Place of a label, pixels of the sheet: left, top, right, bottom.

    line: from the label to what it names; None where it lies beside it
    """

    box: tuple[int, int, int, int]
    line: tuple[Point, Point] | None


class LabelGrid:
    """Cells of a sheet of `height` × `width` pixels, `cell` pixels a side, and which of them are taken."""

    def __init__(self, height: int, width: int, cell: int) -> None:
        self.cell = cell
        self.taken = np.zeros((height // cell, width // cell), np.bool_)
        self.labels = np.zeros_like(self.taken)

    def cells_of(self, parts: Sequence[NDArray[np.float64]]) -> Cells:
        """Cells that polygons [N, 2] of pixels touch, and those around them."""
        touched = np.zeros(self.taken.shape, np.uint8)
        for part in parts:
            cv2.fillPoly(touched, [np.floor(part / self.cell).astype(np.int32)], 1)
        return cv2.dilate(touched, np.ones((3, 3), np.uint8)).astype(np.bool_)

    def take(self, cells: Cells) -> None:
        self.taken |= cells

    def place(
        self, size: tuple[int, int], parts: Sequence[NDArray[np.float64]], *, max_bottom: int | None = None
    ) -> Place | None:
        """Take the nearest free place for a label of so many pixels, height and width, that names `parts`.

        max_bottom: row of pixels that the label may reach down to; None for the sheet's end
        Returns None where there is none.
        """
        rows, columns = (-(-side // self.cell) for side in size)
        last = self.taken.shape[0] if max_bottom is None else max_bottom // self.cell
        taken = self.taken[:last]
        if rows > taken.shape[0] or columns > taken.shape[1]:
            return None
        sums = cv2.integral(taken.astype(np.uint8))
        filled = (
            sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
        )
        tops, lefts = np.nonzero(filled == 0)
        if not len(tops):
            return None
        named = self.cells_of(parts)
        away = cells_away(named, rows, columns)[tops, lefts]
        middle = (np.concatenate(parts).min(axis=0) + np.concatenate(parts).max(axis=0)) / 2 / self.cell
        off = np.hypot(lefts + columns / 2 - middle[0], tops + rows / 2 - middle[1])
        cost = away + ALIGNED * off
        nearest = np.argsort(cost, kind="stable")[:TRIED]
        ends = np.concatenate([along(part, self.cell) for part in parts])
        lines = [self.line_from(int(tops[n]), int(lefts[n]), size, ends) for n in nearest]
        crossed = [self.crossed(line) for line in lines]
        best = int(np.argmin(cost[nearest] + CROSSED * np.array(crossed)))
        top, left = int(tops[nearest[best]]), int(lefts[nearest[best]])
        self.taken[top : top + rows, left : left + columns] = True
        self.labels[top : top + rows, left : left + columns] = True
        box = (left * self.cell, top * self.cell, left * self.cell + size[1], top * self.cell + size[0])
        return Place(box, lines[best] if away[nearest[best]] > 2 else None)

    def line_from(
        self, top: int, left: int, size: tuple[int, int], ends: NDArray[np.float64]
    ) -> tuple[Point, Point]:
        """Shortest line from a label, its corner in cells, its size in pixels, to any of the ends [N, 2]."""
        low = np.array([left * self.cell, top * self.cell], np.float64)
        starts = np.clip(ends, low, low + size[::-1])
        nearest = int(np.argmin(((starts - ends) ** 2).sum(axis=1)))
        (x, y), (end_x, end_y) = starts[nearest], ends[nearest]
        return (float(x), float(y)), (float(end_x), float(end_y))

    def crossed(self, line: tuple[Point, Point]) -> int:
        """Number of cells of labels that the line runs over."""
        start, end = np.array(line) / self.cell
        points = start + np.linspace(0, 1, max(2, 2 * int(np.abs(end - start).max()) + 2))[:, None] * (
            end - start
        )
        x, y = (points.astype(np.intp)).T
        rows, columns = self.labels.shape
        return int(self.labels[np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)].sum())


def cells_away(named: Cells, rows: int, columns: int) -> NDArray[np.float32]:
    """Distance to the named cells of a label of rows × columns cells, by the cell of its top left corner."""
    if not named.any():
        return np.zeros(named.shape, np.float32)
    distance = cv2.distanceTransform((~named).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(cv2.erode(distance, np.ones((rows, columns), np.uint8), anchor=(0, 0)), np.float32)


def along(polygon: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Points [N, 2] on the sides of a closed polygon, at most `step` apart, its corners among them."""
    following = np.roll(polygon, -1, axis=0)
    counts = np.ceil(np.abs(following - polygon).max(axis=1) / step).astype(np.intp) + 1
    side = np.repeat(np.arange(len(polygon)), counts)
    number = np.arange(len(side)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (number / counts[side])[:, None]
    return polygon[side] + share * (following - polygon)[side]
