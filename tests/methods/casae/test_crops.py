import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.defect import Rectangle
from blemish.methods.casae.crops import level, network_input, upright
from blemish.regions.measure import outlines, smallest_rectangle


def corners_of(rectangle: Rectangle) -> np.ndarray:
    """Its four corners [4, 2], by OpenCV."""
    sides = (rectangle.length, rectangle.width)
    return cv2.boxPoints((rectangle.center_xy, sides, rectangle.angle_deg))


def drawn(rectangle: Rectangle, size: tuple[int, int] = (160, 200)) -> np.ndarray:
    """255 inside the rectangle, drawn at 16 times the size and averaged. [H, W]"""
    large = np.zeros((size[0] * 16, size[1] * 16), np.uint8)
    cv2.fillConvexPoly(large, np.round(corners_of(rectangle) * 16).astype(np.int32), 255)
    return cv2.resize(large, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("angle", [-90.0, -75.5, -45.0, -10.0, 0.0, 30.0, 45.0, 60.0, 89.0])
def test_drawn_rectangle_comes_out_level_at_any_angle(angle: float) -> None:
    rectangle = Rectangle((101.3, 78.6), 90.0, 24.0, angle)
    crop = upright(drawn(rectangle), rectangle, margin=2.0, size=128)
    ideal = np.zeros((128, 128), bool)
    ideal[32:96, 32:96] = True  # with margin 2 the rectangle fills the middle half of each side
    assert overlap(crop > 127, ideal) > 0.95


@pytest.mark.parametrize("angle", [-70.0, -20.0, 15.0, 50.0])
def test_longer_side_lies_across_and_nothing_is_mirrored(angle: float) -> None:
    """A mark at one end and one side of the rectangle comes out at the end and side it was drawn at."""
    rectangle = Rectangle((100.0, 80.0), 80.0, 40.0, angle)
    turn = np.radians(angle)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    mark = np.array(rectangle.center_xy) + 30 * along - 12 * across
    image = np.zeros((160, 200), np.uint8)
    cv2.circle(image, (round(mark[0]), round(mark[1])), 5, 255, -1)
    rows, columns = np.nonzero(upright(image, rectangle, margin=1.0, size=80) > 127)
    assert columns.mean() + 0.5 == pytest.approx(70, abs=1.5)
    assert rows.mean() + 0.5 == pytest.approx((20 - 12) * 2, abs=2.5)


@settings(max_examples=30, deadline=None)
@given(
    angle=st.floats(-90, 89.9),
    length=st.floats(20, 90),
    ratio=st.floats(0.2, 0.9),
)
def test_measured_rectangle_of_a_drawn_defect_fills_its_crop(
    angle: float, length: float, ratio: float
) -> None:
    """From mask to rectangle to crop, as at inspection: little background is left, all defect is in."""
    mask = drawn(Rectangle((100.0, 80.0), length, max(6.0, length * ratio), angle)) > 127
    rectangle = smallest_rectangle(outlines(mask))
    crop = upright(mask.astype(np.uint8) * 255, rectangle, margin=1.0, size=64)
    assert (crop > 127).mean() > 0.75
    shown = level(mask.astype(np.uint8) * 255, rectangle).mean() / 255 * rectangle.length * rectangle.width
    assert shown == pytest.approx(mask.sum(), rel=0.06)


def test_level_rectangle_on_whole_pixels_is_the_plain_slice() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (30, 40, 3), np.uint16)
    np.testing.assert_array_equal(level(pixels, Rectangle((17.0, 12.0), 20.0, 8.0, 0.0)), pixels[8:16, 7:27])


def test_rectangle_that_leaves_the_image_repeats_the_edge() -> None:
    pixels = np.tile(np.arange(40, dtype=np.uint8)[:, None], (1, 60))  # brighter further down
    crop = level(pixels, Rectangle((50.0, 38.0), 40.0, 20.0, 0.0))
    np.testing.assert_array_equal(crop[:, -1], crop[:, 0])
    np.testing.assert_array_equal(crop[:, 0], [*range(28, 40), *[39] * 8])


def test_rectangle_outside_the_image_shows_the_nearest_pixels() -> None:
    pixels = np.full((20, 20), 7, np.uint8)
    pixels[-1, -1] = 200
    crop = upright(pixels, Rectangle((60.0, 70.0), 12.0, 6.0, 30.0), margin=1.0, size=16)
    assert (crop == 200).all()


def test_defect_of_one_pixel() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 6] = True
    rectangle = smallest_rectangle(outlines(mask))
    pixels = np.where(mask, 250, 10).astype(np.uint8)
    assert (upright(pixels, rectangle, margin=1.0, size=227) == 250).all()
    crop = upright(pixels, rectangle, margin=3.0, size=27)
    assert crop[13, 13] == 250
    assert (crop[[0, 0, -1, -1], [0, -1, 0, -1]] == 10).all()


def test_colour_and_16_bit_become_gray_bytes() -> None:
    gray = np.random.default_rng(1).integers(0, 256, (50, 50), np.uint8)
    rectangle = Rectangle((25.0, 25.0), 30.0, 12.0, 33.0)
    expected = upright(gray, rectangle, margin=1.2, size=24)
    colour = upright(np.repeat(gray[..., None], 3, axis=2), rectangle, margin=1.2, size=24)
    deep = upright(gray.astype(np.uint16) * 257, rectangle, margin=1.2, size=24)
    for crop in (expected, colour, deep):
        assert crop.shape == (24, 24)
        assert crop.dtype == np.uint8
    np.testing.assert_allclose(colour.astype(int), expected, atol=1)
    np.testing.assert_allclose(deep.astype(int), expected, atol=2)


def test_long_thin_defect_is_averaged_along_not_sampled() -> None:
    """Stripes of one pixel along a scratch of 2000 px would come out as a moiré of 0 and 255."""
    pixels = np.zeros((12, 2000), np.uint8)
    pixels[:, ::2] = 255
    crop = upright(pixels, Rectangle((1000.0, 6.0), 2000.0, 8.0, 0.0), margin=1.0, size=100)
    assert np.abs(crop.astype(int) - 127.5).max() < 2


def test_image_larger_than_opencv_can_turn() -> None:
    pixels = np.zeros((3, 40000), np.uint8)
    pixels[:, 39000:39010] = 90
    assert (upright(pixels, Rectangle((39005.0, 1.5), 10.0, 3.0, 0.0), margin=1.0, size=8) == 90).all()


def test_network_input_is_one_channel_in_unit_range() -> None:
    crops = [np.full((5, 5), value, np.uint8) for value in (0, 51, 255)]
    batch = network_input(crops)
    assert batch.shape == (3, 1, 5, 5)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[:, 0, 2, 3], [0, 0.2, 1], atol=1e-6)
