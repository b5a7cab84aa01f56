"""Connected components of a mask, where regions that lie near each other are joined to one defect.

Components are found among the runs of the rows, so the work follows the runs and not the size of the map.
Source: He & Liu 2020, section III-A-3: clusters nearer to each other than 4 px are one defect.
Letters: n runs, m pairs of runs, k components.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Integers
from blemish.regions.runs import RunLengthMask, as_mask, draw_each, runs_of


def label_regions(
    mask: NDArray[np.bool_], *, join_distance: float, cell: int = 1
) -> tuple[NDArray[np.int32], int]:
    """Number the regions of a mask; regions nearer than `join_distance` pixels share a number.

    mask: [h, w], one entry per cell×cell pixels
    join_distance: Euclidean, between the centres of the nearest pixels; 8-connected entries always join
    returns: ([h, w] int32 with 0 outside and 1…n inside, n), numbered by first entry in reading order
    """
    runs = runs_of(mask)
    numbers = component_of_runs(runs, join_distance=join_distance, cell=cell)
    labels = np.zeros(mask.shape, np.int32)
    draw_each(runs, labels, (numbers + 1).tolist())
    return labels, int(numbers.max(initial=-1)) + 1


def components(runs: RunLengthMask, *, join_distance: float, cell: int = 1) -> Iterator[RunLengthMask]:
    """Runs of each region in reading order of their first entries; arguments as in `label_regions`."""
    numbers = component_of_runs(runs, join_distance=join_distance, cell=cell)
    if numbers.size:
        order = numbers.argsort(kind="stable")
        ends = np.flatnonzero(np.diff(numbers[order], append=-1)) + 1
        yield from runs.chosen(order).parts(ends)


def split_regions(
    mask: NDArray[np.bool_], *, join_distance: float, cell: int = 1
) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int]]]:
    """Each region of a mask as its own crop [h, w], and where the crop's first pixel lies (x, y)."""
    for part in components(runs_of(mask), join_distance=join_distance):
        runs, offset_xy = part.from_corner()
        yield as_mask(runs), offset_xy


def split_classes(
    classes: NDArray[np.uint8], *, join_distance: float
) -> Iterator[tuple[int, NDArray[np.bool_], tuple[int, int]]]:
    """Each region of each class of a class map [H, W], which is 0 on the surface; classes do not join.

    yields: class index (the map's value − 1), crop [h, w], and where its first pixel lies (x, y)
    """
    for value in np.unique(classes[classes > 0]):
        for crop, offset_xy in split_regions(classes == value, join_distance=join_distance):
            yield int(value) - 1, crop, offset_xy


def component_of_runs(runs: RunLengthMask, *, join_distance: float, cell: int) -> Integers:
    """The number of each run's component, 0…k − 1 by the first run in reading order, [n]."""
    earlier, later = near_runs(runs, reaches(join_distance, cell))
    _, numbers = np.unique(roots(len(runs), earlier, later), return_inverse=True)
    return numbers.reshape(-1)


def reaches(join_distance: float, cell: int) -> list[int]:
    """Largest number of columns between two near entries that are 0, 1, … rows apart, as far as any are near.

    Between the nearest pixels of entries n apart along an axis lie (n − 1)·cell + 1 pixel steps.
    """
    furthest = rows_to_join(join_distance, cell)
    steps = np.array([0] + [(n - 1) * cell + 1 for n in range(1, furthest + 1)])
    near = steps[:, None] ** 2 + steps**2 < join_distance**2
    near[:2, :2] = True  # 8-connected
    return [int(row.sum()) - 1 for row in near if row.any()]


def rows_to_join(join_distance: float, cell: int = 1) -> int:
    """Largest number of rows between two entries that share a number for being near."""
    return int(np.ceil(join_distance / cell)) + 1


def near_runs(runs: RunLengthMask, columns_by_rows: list[int]) -> tuple[Integers, Integers]:
    """Pairs of runs that have entries at most so many columns apart: the earlier runs, the later ones, [m].

    columns_by_rows: see `reaches`
    """
    width = int(runs.stops.max(initial=0)) + max(columns_by_rows) + 2
    rows = runs.rows.astype(np.int64) * width
    starts, stops = rows + runs.starts, rows + runs.stops
    earlier, later = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for down, right in enumerate(columns_by_rows):
        above = rows - down * width
        first = np.searchsorted(stops, above + np.maximum(runs.starts - right + 1, 0))
        end = np.searchsorted(starts, above + runs.stops + right - 1, side="right")
        end = np.minimum(end, np.arange(len(runs)))  # of one row, the runs before it
        numbers, origins = ranges(first, end)
        earlier.append(numbers)
        later.append(origins)
    return np.concatenate(earlier), np.concatenate(later)


def ranges(first: Integers, end: Integers) -> tuple[Integers, Integers]:
    """Each number from first[i] up to end[i] for every i, and i beside it.

    first, end: [n]; returns: ([k], [k])
    """
    lengths = np.maximum(end - first, 0)
    index = np.repeat(np.arange(first.size), lengths)
    within = np.arange(index.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return first[index] + within, index


def roots(count: int, first: Integers, second: Integers) -> Integers:
    """First element of the component of each of `count` elements, by the pairs (first, second) [m]. [count]

    In each round the later root of a pair goes under the earlier one, then all go under their roots' roots.
    """
    root = np.arange(count)
    while first.size:
        low, high = np.minimum(root[first], root[second]), np.maximum(root[first], root[second])
        apart = low < high
        first, second = first[apart], second[apart]
        root[high[apart]] = low[apart]
        while not np.array_equal(above := root[root], root):
            root = above
    return root
