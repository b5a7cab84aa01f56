"""Resizing of images and maps, in one way for training and inspection."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels, Size


def resized(image: Pixels, size: Size) -> Pixels:
    """The image at `size` (height, width): averaged when it shrinks, interpolated when it grows.

    image: [H, W] or [H, W, 3]; returned itself where it has that size
    """
    height, width = size
    if image.shape[:2] == size:
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resized_map(values: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """A map [h, w] of numbers at `size` (height, width), within the range that they had.

    Averaged when it shrinks, interpolated when it grows.
    """
    height, width = size
    shrinks = height * width < values.size
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def with_shorter_side(size: Size, shorter: int | None) -> Size:
    """A size (height, width) scaled so that its shorter side is `shorter`; unchanged where that is None."""
    if shorter is None:
        return size
    height, width = (max(1, round(length * shorter / min(size))) for length in size)
    return height, width
