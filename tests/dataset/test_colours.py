"""Class colours of masks with blurred, dithered and JPEG-coded edges."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.dataset.colours import is_coloured, mask_colours, merged
from blemish.images.decode import read_image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def two_regions() -> NDArray[np.uint8]:
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[10:40, 10:50] = RED
    pixels[45:70, 60:110] = BLUE
    return pixels


def test_blurred_edges_make_no_classes() -> None:
    assert mask_colours(cv2.GaussianBlur(two_regions(), (5, 5), 1.5)).keys() == {RED, BLUE}


def test_jpeg_noise_makes_no_classes(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "m.jpg"), two_regions()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert mask_colours(np.asarray(read_image(tmp_path / "m.jpg"), np.uint8)).keys() == {RED, BLUE}


def test_dithered_edges_make_no_classes() -> None:
    pixels = two_regions()
    pixels[10, 10:50] = [RED, GREEN, BLUE, GREEN] * 10
    assert mask_colours(pixels).keys() == {RED, BLUE}


def test_a_thin_region_of_its_own_counts() -> None:
    pixels = two_regions()
    pixels[5, 60:110] = GREEN
    assert mask_colours(pixels).keys() == {RED, GREEN, BLUE}


def test_black_has_none_and_gray_is_no_colour() -> None:
    assert mask_colours(np.zeros((9, 9, 3), np.uint8)) == {}
    assert not is_coloured([(255, 255, 255), (130, 128, 120)])
    assert is_coloured([(255, 255, 255), RED])


def test_near_colours_are_one_named_by_the_most_frequent() -> None:
    assert merged([{(250, 3, 0): 5, BLUE: 1}, {(240, 20, 9): 2}]) == {RED: 7, BLUE: 1}
