"""Cutting polygons to a picture, against the pixels that the whole polygon fills there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.dataset.convert.clip import clipped
from blemish.dataset.masks import polygon_mask

SIZE = (20, 30)
WIDE = (60, 90)  # the picture in the middle of a larger one, which holds all of the polygon
numbers = st.integers(-2900, 5900).map(lambda n: n / 100)
corners = st.tuples(numbers, numbers.map(lambda y: y * 0.6))


def inside(polygon: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Pixels of the picture that the polygon fills, drawn where nothing is cut off."""
    moved = tuple((x + 30, y + 20) for x, y in polygon)
    return polygon_mask([moved], WIDE)[20:40, 30:60]


def on_an_edge(polygon: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Pixels whose centre lies on an edge, as far as rounding tells: such a centre may count as in or out."""
    y, x = np.indices(SIZE) + 0.5
    near = np.zeros(SIZE, np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        length = np.hypot(x2 - x1, y2 - y1)
        near |= np.abs((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) <= 1e-7 * length
    return near


@settings(deadline=None)
@given(st.lists(corners, min_size=3, max_size=9).map(tuple))
def test_the_same_pixels_are_filled_by_corners_in_the_picture(
    polygon: tuple[tuple[float, float], ...],
) -> None:
    cut = clipped(polygon, SIZE)
    assert all(0 <= x <= 30 and 0 <= y <= 20 for x, y in cut)
    drawn = polygon_mask([cut], SIZE) if cut else np.zeros(SIZE, np.bool_)
    assert not ((drawn != inside(polygon)) & ~on_an_edge(polygon)).any()


def test_a_polygon_inside_stays_as_it_is() -> None:
    polygon = ((0.0, 0.0), (30.0, 0.0), (0.1, 20.0))
    assert clipped(polygon, SIZE) is polygon


@pytest.mark.parametrize("move", [(-31, 0), (31, 0), (0, -21), (0, 21), (1e8, -1e8)])
def test_nothing_is_left_of_a_polygon_outside(move: tuple[float, float]) -> None:
    polygon = tuple((x + move[0], y + move[1]) for x, y in ((1.0, 1.0), (29.0, 1.0), (15.0, 19.0)))
    assert clipped(polygon, SIZE) == ()


def test_a_square_over_a_corner_by_hand() -> None:
    square = ((-5.0, -5.0), (10.0, -5.0), (10.0, 15.0), (-5.0, 15.0))
    assert set(clipped(square, SIZE)) == {(0.0, 0.0), (10.0, 0.0), (10.0, 15.0), (0.0, 15.0)}
