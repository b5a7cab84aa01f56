"""From a map of kept cells to separate defects: connected components that join what lies near.

Source: He & Liu 2020, section III-A-3: clusters nearer to each other than 4 px are one defect.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def label_regions(
    mask: NDArray[np.bool_], *, join_distance: float, cell: int = 1
) -> tuple[NDArray[np.int32], int]:
    """Number the regions of a mask; regions nearer than `join_distance` pixels share a number.

    mask: [h, w], one entry per cell×cell pixels
    join_distance: Euclidean, between the centres of the nearest pixels; 8-connected entries always join
    returns: ([h, w] int32 with 0 outside and 1…n inside, n), numbered by first entry in reading order
    """
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    offsets = near_offsets(join_distance, cell)
    roots = join_near(labels, count - 1, offsets) if count > 2 and offsets else np.arange(count)
    return number_in_reading_order(labels, roots)


def split_regions(
    mask: NDArray[np.bool_], *, join_distance: float, cell: int = 1
) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int]]]:
    """Each region of a mask as its own crop, in reading order, and where the crop's first entry lies (x, y).

    Arguments: see `label_regions`
    """
    labels, count = label_regions(mask, join_distance=join_distance, cell=cell)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels, count), start=1):
        yield labels[rows, columns] == number, (columns.start, rows.start)


def split_classes(
    classes: NDArray[np.uint8], *, join_distance: float
) -> Iterator[tuple[int, NDArray[np.bool_], tuple[int, int]]]:
    """Each region of each class of a class map [H, W]: its class number (one less than in the map), its crop,
    and where that lies; classes do not join.
    """
    for value in np.unique(classes[classes > 0]):
        for crop, offset_xy in split_regions(classes == value, join_distance=join_distance):
            yield int(value) - 1, crop, offset_xy


def join_near(labels: NDArray[np.int32], count: int, offsets: list[tuple[int, int]]) -> NDArray[np.intp]:
    """For each label 0…count one that stands for all it is joined with, because an offset leads from one to
    the other.
    """
    parent = np.arange(count + 1)
    for one, other in near_pairs(labels, offsets):
        root, child = sorted((find(parent, one), find(parent, other)))
        parent[child] = root
    return np.array([find(parent, label) for label in range(count + 1)])


def number_in_reading_order(
    labels: NDArray[np.int32], roots: NDArray[np.intp]
) -> tuple[NDArray[np.int32], int]:
    """Labels replaced by 1…n in the order in which their roots first appear; OpenCV numbers by blocks of 2×2.

    roots: [labels + 1], see `join_near`
    """
    places = np.flatnonzero(labels)
    root_of = roots[labels.flat[places]]
    first = np.full(roots.size, labels.size)
    first[root_of[::-1]] = places[::-1]  # of several values for one root the last stays: its first place
    present = np.flatnonzero(first < labels.size)
    numbers = np.zeros(roots.size, np.int32)
    numbers[present[first[present].argsort()]] = np.arange(1, present.size + 1)
    ordered = np.zeros_like(labels)
    ordered.flat[places] = numbers[root_of]
    return ordered, int(present.size)


def near_offsets(join_distance: float, cell: int) -> list[tuple[int, int]]:
    """Offsets (down, right), one of each opposite pair, at which two entries are near but not 8-connected.

    Between the nearest pixels of entries n apart along an axis lie (n − 1)·cell + 1 pixel steps.
    """
    reach = rows_to_join(join_distance, cell)
    steps = [0] + [(n - 1) * cell + 1 for n in range(1, reach + 1)]
    return [
        (down, right)
        for down in range(reach + 1)
        for right in range(-reach, reach + 1)
        if (down, right) > (0, 0)
        and max(down, abs(right)) > 1
        and steps[down] ** 2 + steps[abs(right)] ** 2 < join_distance**2
    ]


def rows_to_join(join_distance: float, cell: int = 1) -> int:
    """The most rows from one entry to another that it shares a number with for being near."""
    return int(np.ceil(join_distance / cell)) + 1


def near_pairs(labels: NDArray[np.int32], offsets: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Pairs of labels with an entry each at one of the offsets; the work is in proportion to the labelled
    entries.
    """
    reach = max(max(down, abs(right)) for down, right in offsets)
    padded = np.pad(labels, reach)
    rows, columns = np.nonzero(padded)
    here = padded[rows, columns]
    pairs: set[tuple[int, int]] = set()
    for down, right in offsets:
        there = padded[rows + down, columns + right]
        different = (there > 0) & (there != here)
        pairs |= set(zip(here[different].tolist(), there[different].tolist(), strict=True))
    return pairs


def find(parent: NDArray[np.intp], label: int) -> int:
    """Root of a label in the union-find forest, with the path halved on the way."""
    while parent[label] != label:
        parent[label] = parent[parent[label]]
        label = int(parent[label])
    return label
