from __future__ import annotations

import math
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from blemish.regions.measure import bounding_box, outlines, smallest_rectangle
from blemish.regions.runs import runs_of

BoolMask = NDArray[np.bool_]
Polygon = tuple[tuple[float, float], ...]


def shoelace(polygon: Polygon) -> float:
    following = [*polygon[1:], polygon[0]]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(polygon, following, strict=True))) / 2


def inside(polygon: Polygon, x: float, y: float) -> bool:
    """Even-odd rule: edges crossed by a ray to the right."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            crossings += 1
    return crossings % 2 == 1


def drawn(polygons: tuple[Polygon, ...], shape: tuple[int, int]) -> BoolMask:
    """Pixels whose centre lies in a polygon."""
    return np.array(
        [
            [
                any(inside(polygon, column + 0.5, row + 0.5) for polygon in polygons)
                for column in range(shape[1])
            ]
            for row in range(shape[0])
        ]
    )


def rectangle_mask(length: float, width: float, angle_deg: float, side: int = 140) -> BoolMask:
    """Pixels whose centre lies in a rectangle about the middle."""
    rows, columns = np.mgrid[:side, :side] + 0.5 - side / 2
    angle = math.radians(angle_deg)
    along = columns * math.cos(angle) + rows * math.sin(angle)
    across = -columns * math.sin(angle) + rows * math.cos(angle)
    return (abs(along) <= length / 2) & (abs(across) <= width / 2)


def plain_outlines(mask: BoolMask, offset_xy: tuple[int, int]) -> tuple[Polygon, ...]:
    """OpenCV's contours of the mask three times as fine: their pixels' centres lie a third of a pixel inside
    each edge, so that rounding to the nearest edge is exact.
    """
    fine = np.kron(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    polygons = []
    for contour in cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
        edges = [
            ((x + 1) // 3 + offset_xy[0], (y + 1) // 3 + offset_xy[1]) for x, y in contour[:, 0].tolist()
        ]
        before = [edges[-1], *edges[:-1]]
        polygons.append(
            tuple((float(x), float(y)) for (x, y), last in zip(edges, before, strict=True) if (x, y) != last)
        )
    return tuple(polygons)


masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))


@settings(max_examples=300, deadline=None)
@given(mask=masks, offset_xy=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_outlines_are_the_contours_of_a_finer_mask(mask: BoolMask, offset_xy: tuple[int, int]) -> None:
    """Corner by corner, in the same order."""
    assert outlines(mask, offset_xy=offset_xy) == plain_outlines(mask, offset_xy)


@pytest.mark.parametrize("density", [0.02, 0.3, 0.5, 0.6, 0.8, 0.97])
def test_outlines_of_many_parts_and_holes_are_those_of_a_finer_mask(density: float) -> None:
    """Parts in holes of parts in holes among them."""
    mask = np.random.default_rng(int(100 * density)).random((150, 170)) < density
    for size in (1, 5):
        kernel = np.ones((size, size), np.uint8)
        closed = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, kernel) > 0
        assert outlines(closed) == plain_outlines(closed, (0, 0))


def test_runs_are_measured_as_their_mask_is() -> None:
    mask = np.random.default_rng(0).random((30, 40)) < 0.4
    assert outlines(runs_of(mask), offset_xy=(2, 3)) == outlines(mask, offset_xy=(2, 3))
    assert bounding_box(runs_of(mask), offset_xy=(2, 3)) == bounding_box(mask, offset_xy=(2, 3))


def test_the_outline_of_a_long_thin_defect_takes_less_memory_than_its_box() -> None:
    mask = np.eye(4000, dtype=bool)
    tracemalloc.start()
    (outline,) = outlines(mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(outline) == 4 * 4000
    assert peak < mask.nbytes / 2


@pytest.mark.parametrize("seed", range(12))
def test_outlines_drawn_again_are_the_mask_without_its_holes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    mask = generator.random((9, 11)) < generator.uniform(0.2, 0.8)
    found = outlines(mask)
    filled = ndimage.binary_fill_holes(mask)
    assert np.array_equal(drawn(found, mask.shape), filled)
    assert len(found) == ndimage.label(filled, np.ones((3, 3)))[1]
    assert sum(map(shoelace, found)) == filled.sum()


def test_a_single_pixel_is_a_unit_square_at_its_place() -> None:
    (outline,) = outlines(np.ones((1, 1), bool), offset_xy=(7, 3))
    assert set(outline) == {(7.0, 3.0), (8.0, 3.0), (8.0, 4.0), (7.0, 4.0)}


def test_a_rectangle_has_four_corners() -> None:
    (outline,) = outlines(np.ones((3, 500), bool))
    assert len(outline) == 4
    assert shoelace(outline) == 1500


def test_an_empty_mask_has_no_outline() -> None:
    assert outlines(np.zeros((4, 4), bool)) == ()


def test_bounding_box_is_half_open_and_moved() -> None:
    mask = np.zeros((10, 20), bool)
    mask[2, 5] = mask[7, 11] = True
    assert bounding_box(mask) == (5, 2, 12, 8)
    assert bounding_box(mask, offset_xy=(100, 1000)) == (105, 1002, 112, 1008)


@pytest.mark.parametrize("angle_deg", [-89, -60, -45, -30, -10, 0, 5, 20, 45, 70, 89])
def test_smallest_rectangle_recovers_a_drawn_one(angle_deg: float) -> None:
    rectangle = smallest_rectangle(outlines(rectangle_mask(90, 20, angle_deg)))
    turned = (rectangle.angle_deg - angle_deg + 90) % 180 - 90
    assert abs(turned) < 1.0
    assert rectangle.length == pytest.approx(90, abs=2)
    assert rectangle.width == pytest.approx(20, abs=2)
    assert rectangle.center_xy == pytest.approx((70, 70), abs=1)
    assert -90 <= rectangle.angle_deg < 90


@pytest.mark.parametrize("seed", range(6))
def test_no_other_angle_gives_a_smaller_rectangle(seed: int) -> None:
    mask = np.random.default_rng(seed).random((12, 15)) < 0.15
    mask[0, 0] = True
    contour = outlines(mask)
    corners = np.array([point for part in contour for point in part])
    rectangle = smallest_rectangle(contour)
    for angle in np.radians(np.arange(0, 90, 0.25)):
        spread = np.ptp(
            corners @ [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], axis=0
        )
        assert rectangle.length * rectangle.width <= spread.prod() * (1 + 1e-5)


def test_an_upright_rectangle_is_exact_and_its_angle_in_range() -> None:
    upright = smallest_rectangle(outlines(np.ones((9, 4), bool), offset_xy=(10, 20)))
    assert (upright.length, upright.width) == (9, 4)
    assert upright.center_xy == (12, 24.5)
    assert upright.angle_deg == -90
    assert smallest_rectangle(outlines(np.ones((4, 9), bool))).angle_deg == 0
