"""Tracing of outer outlines along pixel edges, from run lengths.

The runs' ends make upright edges, whose corners are linked along the rows into closed loops, each the outline
of a part or the border of a hole. The cost follows the number of runs, whatever the bounding box.
Letters: n runs, m upright edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Integers
from blemish.regions.runs import RunLengthMask

LEFT, RIGHT = 0, 1  # sides of a run


def outer_loops(runs: RunLengthMask) -> list[Integers]:
    """Outlines of the 8-connected parts that lie in no hole of another part, each [corners, 2] of x and y.

    Each starts at the leftmost corner of its top row and goes down from there; the last part in reading order
    comes first.
    """
    corners, keys, edge_at = upright_edges(runs)
    across, loop_at = linked(keys).data, np.zeros(len(keys), np.int32).data  # fast to read one by one
    loops: list[Integers] = []
    is_outer = [False]  # of loop 1, 2, …; 0 are those not followed, which can only be holes
    for start, beside in possible_starts(runs, edge_at):
        if loop_at[start]:
            continue
        path = follow(start, across, loop_at, len(is_outer))
        is_outline = keys[path].argmin() == 0  # a hole's first corner lies on the right of a run
        is_outer.append(bool(is_outline) and (beside is None or is_outer[loop_at[beside]]))
        if is_outer[-1]:
            loops.append(corners[path])
    return loops[::-1]


def upright_edges(runs: RunLengthMask) -> tuple[Integers, NDArray[np.int64], Integers]:
    """Upright edges at the runs' ends; ends that continue each other from row to row are one edge.

    returns: corners [2m, 2] (x, y), of edge k the upper is 2k and the lower 2k + 1; keys [2m] that put them
    in reading order; the edges on each run's left and right, [2, n]
    """
    x, y = np.concatenate([runs.starts, runs.stops]), np.concatenate([runs.rows, runs.rows])
    sides = np.repeat(np.array([LEFT, RIGHT], np.int32), len(runs))
    columns, rows = int(x.max(initial=0)) + 1, int(y.max(initial=0)) + 2
    # An edge's next row has the next number; no edge uses the last row, so two of them never run on.
    places = (sides * columns + x.astype(np.int64)) * rows + y
    downwards = places.argsort()
    first = np.diff(places[downwards], prepend=-2) != 1
    last = np.diff(places[downwards], append=-2) != 1
    edge_at = np.empty_like(x)
    edge_at[downwards] = np.cumsum(first) - 1
    tops, bottoms = downwards[first], downwards[last]
    corners = np.stack([x[tops], y[tops], x[bottoms], y[bottoms] + 1], axis=1).reshape(-1, 2)
    # Where two parts touch at a point, two corners share it. The left side first: so `linked` leads from the
    # one part to the other, which makes them one.
    keys = (corners[:, 1].astype(np.int64) * columns + corners[:, 0]) * 2 + sides[tops].repeat(2)
    return corners, keys, edge_at.reshape(2, -1)


def linked(keys: NDArray[np.int64]) -> NDArray[np.intp]:
    """Other end of each corner's level edge, [2m].

    In reading order, each line's first and second, third and fourth, … corner are joined by such an edge.
    """
    order = keys.argsort()
    across = np.empty_like(order)
    across[order[::2]], across[order[1::2]] = order[1::2], order[::2]
    return across


def possible_starts(runs: RunLengthMask, edge_at: Integers) -> list[tuple[int, int | None]]:
    """Upper left corners of the runs that touch none above, as the first run of every part.

    returns: pairs of such a corner and a corner at the right of the run before it in its row, or None
    """
    width = int(runs.stops.max(initial=0)) + 2
    places = runs.rows.astype(np.int64) * width
    above = np.searchsorted(places + runs.starts, places - width + runs.stops, side="right") - 1
    touches = (runs.rows[above] == runs.rows - 1) & (runs.stops[above] >= runs.starts) & (above >= 0)
    topmost = np.flatnonzero(~touches)
    follows = (runs.rows[topmost - 1] == runs.rows[topmost]) & (topmost > 0)
    starts, besides = 2 * edge_at[LEFT, topmost], 2 * edge_at[RIGHT, topmost - 1]
    return [
        (start, beside if is_beside else None)
        for start, beside, is_beside in zip(starts.tolist(), besides.tolist(), follows.tolist(), strict=True)
    ]


def follow(corner: int, across: memoryview, loop_at: memoryview, number: int) -> list[int]:
    """Corners of a loop, in turn along an upright and a level edge; marks them in `loop_at`."""
    path = []
    while not loop_at[corner]:
        other_end = corner ^ 1
        path += [corner, other_end]
        loop_at[corner] = loop_at[other_end] = number
        corner = across[other_end]
    return path
