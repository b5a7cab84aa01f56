from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from blemish.regions.components import components, label_regions, split_classes, split_regions
from blemish.regions.runs import as_mask, runs_of

BoolMask = NDArray[np.bool_]


def gap(one: tuple[int, int], other: tuple[int, int], cell: int) -> float:
    """Distance between the centres of the nearest pixels of two entries, by trying every pair of pixels."""
    ones, others = pixels_of(one, cell), pixels_of(other, cell)
    return min(math.dist(first, second) for first, second in itertools.product(ones, others))


def pixels_of(entry: tuple[int, int], cell: int) -> list[tuple[int, int]]:
    row, column = entry
    return [(row * cell + down, column * cell + right) for down in range(cell) for right in range(cell)]


def slow_labels(mask: BoolMask, join_distance: float, cell: int) -> list[list[int]]:
    """Entries joined one pair at a time, then numbered in reading order."""
    entries = [(int(row), int(column)) for row, column in np.argwhere(mask)]
    group = {entry: number for number, entry in enumerate(entries)}
    for first, second in itertools.combinations(entries, 2):
        touching = abs(first[0] - second[0]) <= 1 and abs(first[1] - second[1]) <= 1
        if touching or gap(first, second, cell) < join_distance:
            remaining, lost = group[first], group[second]
            group = {entry: remaining if number == lost else number for entry, number in group.items()}
    numbers: dict[int, int] = {}
    labels = np.zeros(mask.shape, int)
    for entry in entries:
        labels[entry] = numbers.setdefault(group[entry], len(numbers) + 1)
    return labels.tolist()


@pytest.mark.parametrize("cell", [1, 2, 4])
@pytest.mark.parametrize("join_distance", [0.0, 2.5, 4.0, 9.0])
def test_label_regions_equals_joining_pixel_by_pixel(cell: int, join_distance: float) -> None:
    generator = np.random.default_rng([cell, int(10 * join_distance)])
    for density in (0.03, 0.08, 0.2):
        mask = generator.random((11, 13)) < density
        labels, count = label_regions(mask, join_distance=join_distance, cell=cell)
        assert labels.dtype == np.int32
        assert labels.tolist() == slow_labels(mask, join_distance, cell)
        assert count == labels.max()


def test_regions_exactly_at_the_distance_stay_apart() -> None:
    mask = np.zeros((1, 6), bool)
    mask[0, [0, 4]] = True
    assert label_regions(mask, join_distance=4.0)[1] == 2
    assert label_regions(mask, join_distance=4.01)[1] == 1


def test_a_chain_of_near_regions_is_one() -> None:
    mask = np.zeros((3, 31), bool)
    mask[1, ::3] = True
    assert label_regions(mask, join_distance=4.0)[1] == 1


def test_numbers_follow_reading_order_in_a_large_mask() -> None:
    mask = np.random.default_rng(0).random((700, 900)) < 0.02
    labels, count = label_regions(mask, join_distance=0)
    first_seen = list(dict.fromkeys(labels[labels > 0].tolist()))
    assert first_seen == list(range(1, count + 1))


def test_an_empty_mask_has_no_region() -> None:
    labels, count = label_regions(np.zeros((5, 7), bool), join_distance=4)
    assert count == 0
    assert not labels.any()


def test_split_regions_puts_every_crop_back_where_it_was() -> None:
    mask = np.random.default_rng(3).random((40, 50)) < 0.05
    rebuilt = np.zeros(mask.shape, int)
    for crop, (left, top) in split_regions(mask, join_distance=3):
        assert crop.any(axis=0)[[0, -1]].all()
        assert crop.any(axis=1)[[0, -1]].all()
        rebuilt[top : top + crop.shape[0], left : left + crop.shape[1]] += crop
    assert np.array_equal(rebuilt, mask.astype(int))


def test_split_classes_joins_within_a_class_alone() -> None:
    """Class 0 in two near parts, class 2 between them and once more far away."""
    classes = np.zeros((6, 30), np.uint8)
    classes[1:3, 2], classes[1:3, 4] = 1, 1
    classes[2, 3], classes[5, 20:23] = 3, 3
    found = [
        (label, mask.tolist(), offset) for label, mask, offset in split_classes(classes, join_distance=4)
    ]
    assert found == [
        (0, [[True, False, True], [True, False, True]], (2, 1)),
        (2, [[True]], (3, 2)),
        (2, [[True, True, True]], (20, 5)),
    ]
    assert list(split_classes(np.zeros((3, 3), np.uint8), join_distance=4)) == []


@pytest.mark.parametrize("density", [0.02, 0.3, 0.6])
def test_labels_are_scipys_where_nothing_near_is_joined(density: float) -> None:
    mask = np.random.default_rng(int(100 * density)).random((300, 211)) < density
    labels, count = label_regions(mask, join_distance=0)
    expected, of = ndimage.label(mask, np.ones((3, 3)))
    assert count == of
    assert len(np.unique(np.stack([labels, expected])[:, mask], axis=1).T) == count
    for part, place in zip(
        components(runs_of(mask), join_distance=0), ndimage.find_objects(labels), strict=True
    ):
        runs, (left, top) = part.from_corner()
        assert (top, left) == (place[0].start, place[1].start)
        assert as_mask(runs).shape == (place[0].stop - top, place[1].stop - left)


def test_a_spiral_is_one_region() -> None:
    """Its runs are joined one after the other along the whole of it."""
    mask = np.zeros((401, 401), bool)
    for ring in range(0, 200, 4):
        mask[ring, ring : 401 - ring] = mask[400 - ring, ring : 401 - ring] = True
        mask[ring : 401 - ring, 400 - ring] = True
        mask[ring + 4 : 401 - ring, ring] = True
        mask[ring + 4, ring : ring + 5] = True
    assert label_regions(mask, join_distance=0)[1] == ndimage.label(mask, np.ones((3, 3)))[1] == 1
