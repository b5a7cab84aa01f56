"""Places of labels: free of defects and of each other, the nearest there is, and a line where it is far."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.images.label_placement import LabelGrid, Place, along
from blemish.regions.polygons import filled

CELL = 4


def square(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def pixels_of(place: Place, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    left, top, right, bottom = place.box
    assert 0 <= left < right <= size[1] and 0 <= top < bottom <= size[0]
    mask[top:bottom, left:right] = True
    return mask


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Least distance of the pixels of two masks, by brute force."""
    a, b = np.argwhere(one), np.argwhere(other)
    return float(min(np.sqrt(((a - point) ** 2).sum(axis=1)).min() for point in b))


@pytest.mark.parametrize("seed", range(8))
def test_labels_cover_no_defect_and_no_label_and_stay_in_the_sheet(seed: int) -> None:
    generator = np.random.default_rng(seed)
    size, grid = (200, 300), LabelGrid(200, 300, CELL)
    shapes = []
    for _ in range(12):
        x, y = generator.uniform(-10, 300), generator.uniform(-10, 200)
        angle = np.sort(generator.uniform(0, 2 * np.pi, 9))
        radius = generator.uniform(3, 30, 9)
        shapes.append(np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1))
    defects = np.zeros(size, bool)
    for shape in shapes:
        defects |= filled(shape, size)
        grid.take(grid.cells_of([shape]))
    labels = np.zeros(size, bool)
    for shape in shapes:
        place = grid.place((18, 60), [shape])
        if place is None:
            continue
        own = pixels_of(place, size)
        assert not (own & defects).any()
        assert not (own & labels).any()
        labels |= own
        if place.line is not None:
            (x, y), end = place.line
            left, top, right, bottom = place.box
            assert left <= x <= right and top <= y <= bottom
            assert np.hypot(*(along(shape, 1.0) - end).T).min() < 1


def test_the_label_is_beside_its_defect_where_there_is_room() -> None:
    grid = LabelGrid(200, 300, CELL)
    shape = square(100, 80, 140, 100)
    grid.take(grid.cells_of([shape]))
    place = grid.place((18, 60), [shape])
    assert place is not None and place.line is None
    assert distance(pixels_of(place, (200, 300)), filled(shape, (200, 300))) <= 3 * CELL


def test_in_a_crowd_the_label_goes_to_the_nearest_free_place_and_has_a_line() -> None:
    grid = LabelGrid(200, 300, CELL)
    crowd, shape = square(40, 40, 260, 160), square(60, 60, 70, 70)
    grid.take(grid.cells_of([crowd]))
    place = grid.place((18, 60), [shape])
    assert place is not None and place.line is not None
    own = pixels_of(place, (200, 300))
    assert not (own & filled(crowd, (200, 300))).any()
    assert distance(own, filled(shape, (200, 300))) <= 20 + 4 * CELL  # the crowd's edges are 20 away


def test_a_crack_across_the_image_leaves_room_in_its_box() -> None:
    grid = LabelGrid(200, 300, CELL)
    crack = np.array([(0, 0), (4, 0), (300, 196), (300, 200), (296, 200), (0, 4)], np.float64)
    grid.take(grid.cells_of([crack]))
    assert grid.place((18, 60), [crack]) is not None


def test_without_room_there_is_no_place_but_below() -> None:
    grid = LabelGrid(140, 100, CELL)
    whole = square(0, 0, 100, 100)
    grid.take(grid.cells_of([whole]))
    assert grid.place((18, 60), [whole], max_bottom=100) is None
    place = grid.place((18, 60), [whole])
    assert place is not None and place.box[1] >= 100
    assert grid.place((18, 101), [whole]) is None, "wider than the sheet"


def test_a_line_around_another_label_is_preferred_to_one_across_it() -> None:
    """The nearest place above lies behind a label; one that is as good but for a little is free of it."""
    grid = LabelGrid(200, 300, CELL)
    shape = square(140, 80, 160, 100)
    grid.take(grid.cells_of([square(60, 60, 240, 140)]))
    grid.labels[10:14, 30:45] = True
    place = grid.place((18, 60), [shape])
    assert place is not None and place.line is not None
    assert grid.crossed(place.line) - 1 <= 1  # but for the label's own cells


def test_points_along_a_polygon_are_as_near_as_asked() -> None:
    points = along(square(0, 0, 100, 30), 7.0)
    closed = np.concatenate([points, points[:1]])
    assert np.hypot(*np.diff(closed, axis=0).T).max() <= 7.0
    assert {(0.0, 0.0), (100.0, 0.0), (100.0, 30.0), (0.0, 30.0)} <= {
        tuple(point) for point in points.tolist()
    }
