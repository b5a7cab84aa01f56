"""Bringing pictures to another size, the same way in training and inspection."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels


def resized(picture: Pixels, size: tuple[int, int]) -> Pixels:
    """The picture at `size` (height, width): averaged when it shrinks, interpolated when it grows."""
    height, width = size
    if picture.shape[:2] == size:
        return picture
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resized_map(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """The same of a map [h, w] of numbers, which stay within their range."""
    height, width = size
    shrinks = height * width < values.size
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def with_shorter_side(size: tuple[int, int], shorter: int | None) -> tuple[int, int]:
    """`size` scaled so that its shorter side is `shorter`; as it is where that is None."""
    if shorter is None:
        return size
    height, width = (max(1, round(length * shorter / min(size))) for length in size)
    return height, width
