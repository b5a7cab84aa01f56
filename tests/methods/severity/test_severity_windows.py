from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.methods.severity.windows import cut, intensity_of, network_input, window_side, windows_on


def slow_windows(
    mask: NDArray[np.bool_], offset_xy: tuple[int, int], *, window: int, step: int, overlap: float
) -> list[tuple[int, int, int]]:
    """Every window of the grid about the defect's centre, its pixels counted one by one."""
    height, width = mask.shape
    side, stride = window, step
    while side < max(height, width):
        side, stride = 2 * side, 2 * stride
    places = {(int(x) + offset_xy[0], int(y) + offset_xy[1]) for y, x in np.argwhere(mask)}
    first_left = offset_xy[0] + width // 2 - side // 2
    first_top = offset_xy[1] + height // 2 - side // 2
    found = []
    for top in range(first_top - side // 2, first_top + side // 2 + 1):
        for left in range(first_left - side // 2, first_left + side // 2 + 1):
            on_grid = (left - first_left) % stride == 0 and (top - first_top) % stride == 0
            inside = sum(left <= x < left + side and top <= y < top + side for x, y in places)
            if on_grid and inside >= overlap * len(places):
                found.append((left, top, side))
    return found


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (9, 16), (17, 40), (33, 8)])
@pytest.mark.parametrize("overlap", [0.1, 0.6, 1.0])
def test_windows_equal_a_slow_scan(shape: tuple[int, int], overlap: float) -> None:
    mask = np.random.default_rng(shape).random(shape) < 0.5
    mask[0, 0] = mask[-1, -1] = True
    options = {"window": 16, "step": 4, "overlap": overlap}
    assert windows_on(mask, (30, 20), **options) == slow_windows(mask, (30, 20), **options)


def test_a_defect_that_no_window_holds_enough_of_has_the_centred_one() -> None:
    ring = np.zeros((16, 16), bool)
    ring[[0, 15], [0, 15]] = True
    assert windows_on(ring, (0, 0), window=16, step=64, overlap=1.0) == [(0, 0, 16)]


@pytest.mark.parametrize(("longest", "side"), [(1, 64), (64, 64), (65, 128), (129, 256), (1000, 1024)])
def test_the_window_doubles_until_it_holds_the_defect(longest: int, side: int) -> None:
    assert window_side(longest, 64) == side


@pytest.mark.parametrize("place", [(-9, -3), (2, 1), (12, 9), (-40, 25)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cut_continues_the_image_by_its_mirror_image(place: tuple[int, int], dtype: type) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (11, 14), dtype=dtype)
    eight_bit = pixels if dtype is np.uint8 else np.round(pixels / 257).astype(np.uint8)
    padded = np.pad(eight_bit, 60, mode="reflect")
    left, top = place
    expected = padded[60 + top : 76 + top, 60 + left : 76 + left]
    block = cut(pixels, (left, top, 16), 16)
    assert block.shape == (16, 16, 3)
    assert abs(block[..., 0].astype(int) - expected).max() <= (1 if dtype is np.uint16 else 0)
    assert (block[..., 0] == block[..., 2]).all()


def test_a_larger_window_is_averaged_down() -> None:
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4) * 10
    block = cut(pixels, (0, 0, 4), 2)
    assert block[..., 0].tolist() == [[25, 45], [105, 125]]


def test_a_one_pixel_image_fills_its_window() -> None:
    assert (cut(np.full((1, 1), 7, np.uint8), (-8, -8, 16), 16) == 7).all()


def test_colour_stays_colour() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 1] = 200
    assert cut(pixels, (0, 0, 8), 8)[3, 3].tolist() == [0, 200, 0]


def test_network_input_is_planes_from_0_to_1() -> None:
    block = np.zeros((4, 4, 3), np.uint8)
    block[0, 1] = (255, 0, 51)
    batch = network_input([block, block])
    assert batch.shape == (2, 3, 4, 4)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[1, :, 0, 1], [1, 0, 0.2])


def test_intensity_is_8_bit_luminance_of_every_kind_of_image() -> None:
    assert intensity_of(np.full((2, 2), 65535, np.uint16)).tolist() == [[255, 255], [255, 255]]
    green = np.zeros((1, 1, 3), np.uint8)
    green[..., 1] = 255
    assert intensity_of(green)[0, 0] == pytest.approx(0.587 * 255, abs=1)
