"""Upright crops of defects for the type classifier, cut along their smallest rectangles.

Source: Tao et al. 2018, sections 3.3 and 4: the oblique rectangle is made a positive one by an affine
transformation, cut from the original image, made gray and resized to a square. Rectangles are in pixel edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, cos, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.defect import Rectangle
from blemish.images.decode import luminance, to_bytes
from blemish.images.resize import resized

SEEN_BEYOND = 2  # pixels around the rectangle that interpolation may read


def upright(pixels: Pixels, rectangle: Rectangle, *, margin: float, size: int) -> NDArray[np.uint8]:
    """Crop a rectangle as gray [size, size], its longer side across; edge pixels continue the image.

    pixels: [H, W] or [H, W, 3]; margin: factor on both sides of the rectangle, 1 adds nothing
    """
    larger = replace(rectangle, length=rectangle.length * margin, width=rectangle.width * margin)
    turned = luminance(to_bytes(level(pixels, larger)))
    # Each axis by itself: a scratch shrinks along and grows across, and only averaging shrinks without gaps.
    shrunk = resized(turned, (min(turned.shape[0], size), min(turned.shape[1], size)))
    return to_bytes(resized(shrunk, (size, size)))


def network_input(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Stack crops [size, size] to [B, 1, size, size] in [0, 1]. crops: at least one"""
    return np.stack(crops)[:, None].astype(np.float32) / np.float32(255)


def level(pixels: Pixels, rectangle: Rectangle) -> Pixels:
    """Turn a rectangle level at the image's own scale; [width, length(, 3)], rounded up, at least 1."""
    left, top, right, bottom = window_around(rectangle, (pixels.shape[0], pixels.shape[1]))
    size = (max(1, ceil(rectangle.length)), max(1, ceil(rectangle.width)))
    return cv2.warpAffine(
        pixels[top:bottom, left:right],
        into_image(rectangle, size, offset_xy=(left, top)),
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def into_image(
    rectangle: Rectangle, size: tuple[int, int], *, offset_xy: tuple[int, int]
) -> NDArray[np.float64]:
    """Matrix [2, 3] from pixel centres of a crop of `size` (across, down) to those of an image window."""
    angle = radians(rectangle.angle_deg)
    along = np.array([cos(angle), sin(angle)]) * (rectangle.length / size[0])
    across = np.array([-sin(angle), cos(angle)]) * (rectangle.width / size[1])
    matrix = np.column_stack([along, across])
    # Pixel i spans i … i + 1, so its centre lies half a pixel behind its number on both sides.
    middle = np.array([size[0] - 1, size[1] - 1]) / 2
    start = np.array(rectangle.center_xy) - np.array(offset_xy) - 0.5 - matrix @ middle
    return np.column_stack([matrix, start])


def window_around(rectangle: Rectangle, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Part of an image of `size` that a crop of the rectangle reads: left, top, right, bottom; never empty.

    OpenCV turns images of up to 32767 pixels a side, and the part it reads is all that has to be so small.
    """
    angle = radians(rectangle.angle_deg)
    half_x = (rectangle.length * abs(cos(angle)) + rectangle.width * abs(sin(angle))) / 2 + SEEN_BEYOND
    half_y = (rectangle.length * abs(sin(angle)) + rectangle.width * abs(cos(angle))) / 2 + SEEN_BEYOND
    left, right = clipped(rectangle.center_xy[0] - half_x, rectangle.center_xy[0] + half_x, size[1])
    top, bottom = clipped(rectangle.center_xy[1] - half_y, rectangle.center_xy[1] + half_y, size[0])
    return left, top, right, bottom


def clipped(low: float, high: float, length: int) -> tuple[int, int]:
    """Start and stop of the whole pixels of low … high inside [0, length), at least one."""
    start = min(max(0, int(low)), length - 1)
    return start, max(start + 1, min(length, ceil(high)))
