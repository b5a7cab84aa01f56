"""Masks as run lengths, row by row: memory in proportion to a region's border, not to its bounding box.

A scratch across a large image has a box of the image's size and a few runs in each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS_AT_ONCE = 1 << 18  # of a map, when its runs are looked for; so many stay in the processor's cache


@dataclass(frozen=True, eq=False)
class RunLengthMask:
    """A mask as the runs of its rows, in reading order; two runs in one row have a gap between them.

    rows, starts, stops: [n] each, half-open along the row
    """

    rows: NDArray[np.int32]
    starts: NDArray[np.int32]
    stops: NDArray[np.int32]

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int((self.stops - self.starts).sum())

    def __len__(self) -> int:
        return self.rows.size

    def moved(self, right: int, down: int) -> RunLengthMask:
        return RunLengthMask(self.rows + down, self.starts + right, self.stops + right)

    def from_corner(self) -> tuple[RunLengthMask, tuple[int, int]]:
        """The mask, not empty, moved to begin at (0, 0), and where its bounding box began (x, y)."""
        left, top = int(self.starts.min()), int(self.rows[0])
        return self.moved(-left, -top), (left, top)

    def enlarged(self, factor: int) -> RunLengthMask:
        """The mask with every pixel as a square of factor×factor."""
        rows = np.add.outer(self.rows * factor, np.arange(factor)).reshape(-1).astype(np.int32)
        order = rows.argsort(kind="stable")
        larger = self.chosen(np.arange(len(self)).repeat(factor)[order])
        return RunLengthMask(rows[order], larger.starts * factor, larger.stops * factor)

    def inside(self, size: tuple[int, int]) -> RunLengthMask:
        """The part inside an image of `size` (height, width), of runs with no negative row or start."""
        height, width = size
        inside = (self.rows < height) & (self.starts < width)
        return RunLengthMask(self.rows[inside], self.starts[inside], self.stops[inside].clip(max=width))

    def chosen(self, indices: NDArray[np.intp]) -> RunLengthMask:
        """The runs at the indices [m], in their order."""
        return RunLengthMask(self.rows[indices], self.starts[indices], self.stops[indices])

    def parts(self, ends: NDArray[np.intp]) -> Iterator[RunLengthMask]:
        """Consecutive parts: the runs up to the first end, from there to the second, …"""
        start = 0
        for end in ends.tolist():
            yield RunLengthMask(self.rows[start:end], self.starts[start:end], self.stops[start:end])
            start = end


def runs_of(mask: NDArray[np.bool_]) -> RunLengthMask:
    """Runs of a mask [h, w], found a band of rows at a time to spare memory."""
    return runs_where(mask, lambda band: band)


def runs_above(values: NDArray[np.float32], threshold: float) -> RunLengthMask:
    """Runs of a map's pixels of at least the threshold, found a band of rows at a time. values: [h, w]"""
    return runs_where(values, lambda band: band >= threshold)


def runs_where(values: NDArray[Any], marked: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> RunLengthMask:
    """Runs of the mask that `marked` makes of a map [h, w], a band of rows at a time."""
    rows_at_once = max(1, PIXELS_AT_ONCE // max(1, values.shape[1]))
    tops = range(0, values.shape[0], rows_at_once)
    return joined(runs_of_band(marked(values[top : top + rows_at_once])).moved(0, top) for top in tops)


def runs_of_band(mask: NDArray[np.bool_]) -> RunLengthMask:
    """Runs of a mask [h, w], found all at once."""
    height, width = mask.shape
    changes = np.empty((height, width + 1), np.bool_)
    changes[:, 0], changes[:, -1] = (mask[:, 0], mask[:, -1]) if width else (False, False)
    np.not_equal(mask[:, 1:], mask[:, :-1], out=changes[:, 1:-1])
    rows, columns = np.divmod(np.flatnonzero(changes), width + 1)
    columns = columns.astype(np.int32)
    return RunLengthMask(rows[::2].astype(np.int32), columns[::2], columns[1::2])


def joined(parts: Iterable[RunLengthMask]) -> RunLengthMask:
    """Runs of parts that follow each other from top to bottom, as one mask."""
    several = list(parts)
    if len(several) == 1:
        return several[0]
    nothing = np.zeros(0, np.int32)
    rows, starts, stops = (
        np.concatenate([nothing, *(getattr(part, name) for part in several)])
        for name in ("rows", "starts", "stops")
    )
    return RunLengthMask(rows, starts, stops)


def draw(runs: RunLengthMask, image: NDArray[np.bool_] | NDArray[np.int32], value: int) -> None:
    """Set the pixels of the runs in an image [H, W] to a value."""
    draw_each(runs, image, repeat(value))


def draw_each(
    runs: RunLengthMask, image: NDArray[np.bool_] | NDArray[np.int32], values: Iterable[int]
) -> None:
    """Set the pixels of each run in an image [H, W] to the run's own value. values: one per run"""
    places = zip(runs.rows.tolist(), runs.starts.tolist(), runs.stops.tolist(), values, strict=False)
    for row, start, stop, value in places:
        image[row, start:stop] = value


def values_on(runs: RunLengthMask, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of a map [H, W] on the pixels of the runs, in reading order. At least one run."""
    places = zip(runs.rows.tolist(), runs.starts.tolist(), runs.stops.tolist(), strict=True)
    return np.concatenate([values[row, start:stop] for row, start, stop in places])


def as_runs(pixels: NDArray[np.bool_] | RunLengthMask) -> RunLengthMask:
    """A mask [h, w], or one of run lengths, as run lengths."""
    return pixels if isinstance(pixels, RunLengthMask) else runs_of(pixels)


def as_mask(
    pixels: NDArray[np.bool_] | RunLengthMask, size: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Mask [h, w] of `size`, by default as far as the runs reach from (0, 0); a mask is returned itself."""
    if not isinstance(pixels, RunLengthMask):
        return pixels
    mask = np.zeros(size or (pixels.rows.max(initial=-1) + 1, pixels.stops.max(initial=0)), np.bool_)
    draw(pixels, mask, 1)
    return mask
