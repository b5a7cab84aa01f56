"""Input of the feature reweighting: a support's box in its surroundings, with a mask of the box.

Source: TL-SDD section III-A-2, the pair (x_i, a_i). How it becomes an input is open: `support_view`.
Letters: H, W of the image; s of the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from blemish.arrays import Box, Floats, Integers, Pixels
from blemish.images.decode import to_unit
from blemish.images.resize import resized
from blemish.methods.tlsdd.settings import TlsddSettings

MIN_CROP = 16  # pixels: below, a crop is interpolation and no surface


def support_input(pixels: Pixels, box_xyxy: Box | Sequence[float], settings: TlsddSettings) -> Floats:
    """Colour and box mask of a support, each in [0, 1].

    pixels: [H, W, 3]; box_xyxy: pixels; returns [4, s, s]
    A pixel of the mask holds the share of it that the box covers, so that thin boxes do not vanish.
    """
    left, top, right, bottom = (float(value) for value in box_xyxy)
    if settings.support_view == "crop":
        image, offset_xy = context_crop(pixels, (left, top, right, bottom), settings.support_context)
    else:
        image, offset_xy = pixels, (0, 0)
    side = settings.support_size
    colour, scale = letterboxed(image, side)
    corners = np.array([left, top, right, bottom]) - np.tile(offset_xy, 2)
    mask = coverage(corners * np.tile(scale, 2), side)
    return np.concatenate([colour.transpose(2, 0, 1), mask[None]])


def context_crop(pixels: Pixels, box_xyxy: Box, context: float) -> tuple[Pixels, tuple[int, int]]:
    """Crop a square about a box, mirrored beyond the image; returns it and its (x, y) in the image."""
    left, top, right, bottom = box_xyxy
    side = max(MIN_CROP, math.ceil(context * max(right - left, bottom - top)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    height, width = pixels.shape[:2]
    rows, columns = mirrored(y, side, height), mirrored(x, side, width)
    return pixels[rows[:, None], columns], (x, y)


def mirrored(start: int, count: int, length: int) -> Integers:
    """Positions start … start + count − 1 folded into 0 … length − 1, the edge pixel repeated once."""
    positions = np.arange(start, start + count) % (2 * length)
    return np.minimum(positions, 2 * length - 1 - positions)


def letterboxed(image: Pixels, side: int) -> tuple[Floats, tuple[float, float]]:
    """Fit an image into a black canvas [s, s, 3] in [0, 1]; returns it and the scale along x and y."""
    height, width = image.shape[:2]
    ratio = side / max(height, width)
    new_height, new_width = (max(1, round(length * ratio)) for length in (height, width))
    canvas = np.zeros((side, side, 3), np.float32)
    canvas[:new_height, :new_width] = to_unit(resized(image, (new_height, new_width)))
    return canvas, (new_width / width, new_height / height)


def coverage(corners: Floats, side: int) -> Floats:
    """Share of each pixel that the box xyxy covers, [s, s]."""
    edges = np.arange(side, dtype=np.float64)
    across, down = (
        np.clip(np.minimum(edges + 1, corners[axis + 2]) - np.maximum(edges, corners[axis]), 0, 1)
        for axis in (0, 1)
    )
    return np.outer(down, across).astype(np.float32)
