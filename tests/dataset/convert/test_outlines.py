"""Outlines of masks and of several parts: each single polygon fills exactly what it stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pycocotools import mask as pycocotools_mask  # type: ignore[import-untyped]

from blemish.dataset.convert.outlines import joined, mask_outlines, single_outline
from blemish.dataset.masks import polygon_mask

masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans())


def scaled(
    polygon: tuple[tuple[float, float], ...], size: tuple[int, int]
) -> tuple[tuple[float, float], ...]:
    """The polygon written as shares of the size and read again, with the rounding of both."""
    height, width = size
    return tuple((float(repr(x / width)) * width, float(repr(y / height)) * height) for x, y in polygon)


@settings(deadline=None)
@given(masks)
def test_parts_of_a_mask_fill_it_and_so_does_their_join(mask: NDArray[np.bool_]) -> None:
    parts = mask_outlines(mask)
    assert np.array_equal(polygon_mask(parts, mask.shape), mask)
    if parts:
        assert np.array_equal(polygon_mask([scaled(joined(parts), mask.shape)], mask.shape), mask)


@settings(deadline=None)
@given(masks.filter(np.any))
def test_pycocotools_fills_the_same(mask: NDArray[np.bool_]) -> None:
    flat = [[value for corner in part for value in corner] for part in mask_outlines(mask)]
    runs = pycocotools_mask.frPyObjects(flat, *mask.shape)
    drawn = pycocotools_mask.decode([pycocotools_mask.merge(runs)])[..., 0]
    assert np.array_equal(drawn, mask)


def test_a_ring_and_a_spot_by_hand() -> None:
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 0, 0]], np.bool_)
    ring, spot = mask_outlines(mask, left=10, top=20)
    assert set(spot) == {(14.0, 21.0), (15.0, 21.0), (15.0, 22.0), (14.0, 22.0)}
    assert {(10.0, 20.0), (13.0, 23.0), (11.0, 21.0), (12.0, 22.0)} <= set(ring)


SQUARE = ((2.0, 2.0), (8.0, 2.0), (8.0, 8.0), (2.0, 8.0))


@pytest.mark.parametrize(("move", "corners"), [(10.3, 12), (3.0, None), (0.0, None)])
def test_parts_are_joined_as_they_are_unless_they_overlap(move: float, corners: int | None) -> None:
    other = tuple((x + move, y + 1.2) for x, y in SQUARE)
    single = single_outline([SQUARE, other], (20, 30))
    together = polygon_mask([SQUARE, other], (20, 30))
    assert np.array_equal(polygon_mask([single], (20, 30)), together)
    assert np.array_equal(polygon_mask([scaled(single, (20, 30))], (20, 30)), together)
    if corners is not None:
        assert len(single) == corners and {*SQUARE, *other} <= {*single}


def test_one_part_stays_as_it_is() -> None:
    assert single_outline([SQUARE], (20, 30)) is SQUARE
