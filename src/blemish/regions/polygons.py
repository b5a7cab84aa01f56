"""Pixels of a polygon in pixel-edge coordinates: the pixel at x, y spans x … x+1. Letters: H, W."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Size


def filled(corners: NDArray[np.float64], size: Size) -> NDArray[np.bool_]:
    """Pixels whose centre lies in the polygon, by the even-odd rule, [H, W].

    A row's centre line toggles at each edge that it crosses. corners: [n, 2] of x and y
    """
    height, width = size
    toggles = np.zeros((height, width + 1), np.uint8)
    x, y = np.asarray(corners, np.float64).reshape(-1, 2).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    first, end = (
        np.clip(np.ceil(bound - 0.5), 0, height).astype(np.intp)
        for bound in (np.minimum(y, next_y), np.maximum(y, next_y))
    )
    crossed = end - first  # rows of each edge
    edge = np.repeat(np.arange(len(crossed)), crossed)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed - first, crossed)
    slope = (next_x - x)[edge] / (next_y - y)[edge]
    columns = np.clip(np.ceil(x[edge] + (rows + 0.5 - y[edge]) * slope - 0.5), 0, width).astype(np.intp)
    np.bitwise_xor.at(toggles, (rows, columns), 1)
    return np.bitwise_xor.accumulate(toggles[:, :width], axis=1).astype(np.bool_)
