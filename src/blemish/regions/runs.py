"""Pixels of a region as the runs of its rows: memory in proportion to the border, not to the bounding box.

A scratch across a large image has a box of the image's size and a few runs in each row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIXELS_AT_ONCE = 1 << 20  # of a mask, when its runs are looked for


@dataclass(frozen=True, eq=False)
class Runs:
    """Stretches of pixels, in reading order; two in one row have a gap between them.

    rows, starts, stops: [runs], half-open along the row
    """

    rows: NDArray[np.int32]
    starts: NDArray[np.int32]
    stops: NDArray[np.int32]

    @property
    def area(self) -> int:
        return int((self.stops - self.starts).sum())

    def __len__(self) -> int:
        return self.rows.size

    def moved(self, right: int, down: int) -> Runs:
        return Runs(self.rows + down, self.starts + right, self.stops + right)


def runs_of(mask: NDArray[np.bool_]) -> Runs:
    """The runs of a mask [h, w]; beside them it takes memory for a band of rows at a time."""
    rows_at_once = max(1, PIXELS_AT_ONCE // max(1, mask.shape[1]))
    tops = range(0, mask.shape[0], rows_at_once)
    return joined(runs_of_band(mask[top : top + rows_at_once]).moved(0, top) for top in tops)


def runs_of_band(mask: NDArray[np.bool_]) -> Runs:
    """The same at once."""
    height, width = mask.shape
    changes = np.empty((height, width + 1), np.bool_)
    changes[:, 0], changes[:, -1] = (mask[:, 0], mask[:, -1]) if width else (False, False)
    np.not_equal(mask[:, 1:], mask[:, :-1], out=changes[:, 1:-1])
    rows, columns = np.divmod(np.flatnonzero(changes), width + 1)
    columns = columns.astype(np.int32)
    return Runs(rows[::2].astype(np.int32), columns[::2], columns[1::2])


def joined(parts: Iterable[Runs]) -> Runs:
    """The runs of parts that follow each other from top to bottom."""
    several = list(parts)
    if len(several) == 1:
        return several[0]
    nothing = np.zeros(0, np.int32)
    rows, starts, stops = (
        np.concatenate([nothing, *(getattr(part, name) for part in several)])
        for name in ("rows", "starts", "stops")
    )
    return Runs(rows, starts, stops)


def draw(runs: Runs, picture: NDArray[np.bool_] | NDArray[np.int32], value: int) -> None:
    """Set the pixels of the runs in a picture [H, W] to a value."""
    places = zip(runs.rows.tolist(), runs.starts.tolist(), runs.stops.tolist(), strict=True)
    for row, start, stop in places:
        picture[row, start:stop] = value


def as_runs(pixels: NDArray[np.bool_] | Runs) -> Runs:
    return pixels if isinstance(pixels, Runs) else runs_of(pixels)


def as_mask(pixels: NDArray[np.bool_] | Runs) -> NDArray[np.bool_]:
    """[h, w], from pixel (0, 0) as far as the pixels reach; of a mask, itself."""
    if not isinstance(pixels, Runs):
        return pixels
    mask = np.zeros((pixels.rows.max(initial=-1) + 1, pixels.stops.max(initial=0)), np.bool_)
    draw(pixels, mask, 1)
    return mask
