"""Shapes of label tools against OpenCV's turned boxes, areas by formula, and masks drawn by hand."""

from __future__ import annotations

import base64
import io
import math
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from blemish.dataset import run_lengths
from blemish.dataset.layouts import shapes
from blemish.dataset.layouts.shapes import CannotHoldError
from blemish.dataset.samples import Annotation, RunLengths
from blemish.errors import BlemishError


def area(annotation: Annotation) -> float:
    return float(cv2.contourArea(np.asarray(annotation.polygons[0], np.float32)))


def mask_of(annotation: Annotation) -> NDArray[np.bool_]:
    assert isinstance(annotation.mask, RunLengths)
    return run_lengths.decode(annotation.mask)


@given(
    st.floats(0, 50),
    st.floats(0, 50),
    st.floats(1, 40),
    st.floats(1, 40),
    st.floats(-360, 360).map(lambda d: round(d, 1)),
)
def test_turned_rectangle_is_opencvs(x: float, y: float, width: float, height: float, degrees: float) -> None:
    centre = (x + width / 2, y + height / 2)
    turned = shapes.turned_rectangle("a", (x, y), (width, height), degrees, centre)
    expected = cv2.boxPoints((centre, (width, height), degrees))
    box = turned.box_xyxy
    corners = (
        turned.polygons[0] if box is None else ((box[0], box[1]), (box[2], box[1]), box[2:], (box[0], box[3]))
    )
    assert ordered(corners) == pytest.approx(ordered(expected), abs=0.05)


def ordered(points: Any) -> NDArray[np.float64]:
    """Points sorted by rounded x and y."""
    rounded = [(round(float(x), 1), round(float(y), 1), float(x), float(y)) for x, y in points]
    return np.asarray([point[2:] for point in sorted(rounded)], np.float64)


def test_turn_about_the_corner_keeps_the_corner() -> None:
    turned = shapes.turned_rectangle("a", (10, 20), (4, 2), 90, (10, 20))
    assert np.asarray(turned.polygons[0]) == pytest.approx(np.asarray([(10, 20), (10, 24), (8, 24), (8, 20)]))


def test_whole_turns_are_boxes() -> None:
    assert shapes.turned_rectangle("a", (1, 2), (3, 4), 720, (0, 0)).box_xyxy == (1, 2, 4, 6)


@given(st.floats(0.1, 3000), st.floats(0.1, 3000), st.floats(0, 360))
def test_ellipse_has_its_area(across: float, down: float, degrees: float) -> None:
    drawn = shapes.ellipse("a", (0, 0), (across, down), degrees)
    outline = np.asarray(drawn.polygons[0])
    rolled = np.roll(outline, -1, axis=0)
    found = abs((outline[:, 0] * rolled[:, 1] - outline[:, 1] * rolled[:, 0]).sum()) / 2
    assert found == pytest.approx(math.pi * across * down, rel=0.03)
    assert 16 <= len(outline) <= 720


def test_ellipse_turns_clockwise() -> None:
    points = np.asarray(shapes.ellipse("a", (5, 5), (4, 1), 90).polygons[0])
    assert np.ptp(points, axis=0) == pytest.approx([2, 8], abs=0.05)


def test_hole_is_cut_out() -> None:
    outer, hole = [(1, 1), (9, 1), (9, 9), (1, 9)], [(3, 3), (6, 3), (6, 6), (3, 6)]
    expected = np.zeros((12, 10), np.bool_)
    expected[1:9, 1:9] = True
    expected[3:6, 3:6] = False
    assert np.array_equal(mask_of(shapes.rings("a", [outer, hole], (12, 10))), expected)
    assert shapes.rings("a", [outer], (12, 10)).polygons == (tuple(outer),)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: shapes.rectangle("a", (1, 1), (1, 5)),
        lambda: shapes.polygon("a", []),
        lambda: shapes.polygon("a", [(1, 1), (2, 2)]),
        lambda: shapes.polygon("a", [(1, 1), (2, 2), (5, 5)]),
        lambda: shapes.polygon("a", [(1, 1), (1, 1), (2, 2), (2, 2)]),
        lambda: shapes.ellipse("a", (1, 1), (0, 2)),
        lambda: shapes.turned_rectangle("a", (1, 1), (0, 2), 45, (1, 1)),
        lambda: shapes.pixels("a", np.zeros((3, 3), np.bool_)),
        lambda: shapes.placed("a", np.ones((3, 3), np.bool_), (8, 0), (10, 10)),
    ],
)
def test_shapes_without_an_area_cannot_be_held(draw: Any) -> None:
    with pytest.raises(CannotHoldError):
        draw()


def encoded(image: Image.Image, *, packed: bool) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(zlib.compress(file.getvalue()) if packed else file.getvalue()).decode()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["gray", "palette", "alpha", "bits"])
def test_bitmaps_of_every_kind(kind: str, packed: bool) -> None:
    mask = np.random.default_rng(3).random((5, 7)) > 0.5
    image = Image.fromarray(mask.astype(np.uint8) * (255 if kind == "gray" else 1))
    if kind == "palette":
        image = image.convert("P")
        image.putpalette([0, 0, 0, 255, 255, 255])
    if kind == "alpha":  # the colour is everywhere, the alpha says where the mask is
        image = Image.fromarray(np.dstack([np.full((5, 7, 3), 200, np.uint8), mask.astype(np.uint8) * 255]))
    if kind == "bits":
        image = Image.fromarray(mask)
    found = shapes.unpacked_bitmap(encoded(image, packed=packed), "x", compressed=packed)
    assert np.array_equal(found, mask)


@pytest.mark.parametrize("text", ["", "%%%", "AAAA", base64.b64encode(zlib.compress(b"no png")).decode()])
def test_bitmaps_that_are_none(text: str) -> None:
    with pytest.raises(BlemishError, match=r"x(: the bitmap)? must hold a bitmap"):
        shapes.unpacked_bitmap(text, "x", compressed=True)


def test_bitmap_that_unpacks_without_end() -> None:
    bomb = base64.b64encode(zlib.compress(b"\0" * (shapes.MAX_BITMAP_BYTES + 10))).decode()
    with pytest.raises(BlemishError, match="more than 64 MB"):
        shapes.unpacked_bitmap(bomb, "x", compressed=True)


def test_rows_are_unpacked_and_must_fill_the_mask() -> None:
    assert shapes.rows_unpacked([1, 2, 3], (2, 3), "x").tolist() == [[False, True, True], [False] * 3]
    for counts in ([1, 2], [1, -1, 6], [10**18, 6]):
        with pytest.raises(BlemishError, match=r"x must have run lengths that fill 3×2 pixels"):
            shapes.rows_unpacked(counts, (2, 3), "x")
