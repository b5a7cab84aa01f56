"""Shapes of label tools as annotations: rectangles, polygons, ellipses, outlines with holes, bitmaps.

Coordinates are pixel edges (the pixel at x, y spans x … x+1), as the tools draw them. A turned rectangle and
an ellipse become polygons, an outline with holes and a bitmap run lengths of the image.
Shape letters: H, W. Sizes are (height, width).
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.arrays import Size
from blemish.dataset import run_lengths
from blemish.dataset.masks import polygon_mask
from blemish.dataset.samples import Annotation
from blemish.errors import BlemishError
from blemish.images.decode import MAX_PIXELS

Points = Sequence[tuple[float, float]]
MAX_BITMAP_BYTES = 2**26
SAGITTA = 0.02  # pixels by which the corners' chords of an ellipse may miss it


class CannotHoldError(Exception):
    """A shape that a dataset has no place for, with the reason; the caller names it in the account."""


def rectangle(label: str, first: tuple[float, float], second: tuple[float, float]) -> Annotation:
    """Box between two opposite corners, in any order. Raises CannotHoldError without an area."""
    (left, right), (top, bottom) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    if left == right or top == bottom:
        raise CannotHoldError("the rectangle has no area")
    return Annotation(label, (left, top, right, bottom))


def polygon(label: str, points: Points) -> Annotation:
    """Outline of three corners or more. Raises CannotHoldError for fewer, and for corners in a line."""
    if in_line(points):
        raise CannotHoldError("the polygon has no area: fewer than three corners, or all in a line")
    return Annotation(label, polygons=(tuple(points),))


def in_line(points: Points) -> bool:
    """True for points that lie in a line, and for fewer than three."""
    if not points:
        return True
    x, y = points[0]
    across, down = next(((a - x, b - y) for a, b in points if (a, b) != (x, y)), (0.0, 0.0))
    return all(abs((a - x) * down - (b - y) * across) < 1e-6 for a, b in points)


def turned_rectangle(
    label: str,
    corner: tuple[float, float],
    size: tuple[float, float],
    degrees: float,
    pivot: tuple[float, float],
) -> Annotation:
    """Rectangle turned clockwise, as seen, about a pivot.

    corner: left and top before turning; size: (width, height)
    """
    (left, top), (width, height) = corner, size
    if degrees % 360 == 0:
        return rectangle(label, corner, (left + width, top + height))
    if not width or not height:
        raise CannotHoldError("the rectangle has no area")
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return polygon(label, turned(corners, degrees, pivot))


def ellipse(
    label: str, centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0
) -> Annotation:
    """Polygon of an ellipse turned clockwise about its centre, within 0.02 pixels of it."""
    (x, y), (across, down) = centre, (abs(radii[0]), abs(radii[1]))
    if not across or not down:
        raise CannotHoldError("the ellipse has no area")
    step = math.acos(max(0.0, 1 - SAGITTA / max(across, down, 2 * SAGITTA)))
    corners = min(720, max(16, math.ceil(math.pi / step)))
    angles = (2 * math.pi * n / corners for n in range(corners))
    points = [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]
    return polygon(label, turned(points, degrees, centre))


def turned(points: Points, degrees: float, pivot: tuple[float, float]) -> list[tuple[float, float]]:
    """Points turned clockwise, as seen: y points down."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    moved = [(x - pivot[0], y - pivot[1]) for x, y in points]
    return [(pivot[0] + cosine * x - sine * y, pivot[1] + sine * x + cosine * y) for x, y in moved]


def rings(label: str, outlines: Sequence[Points], size: Size) -> Annotation:
    """Area that an odd number of the outlines hold: an outline alone, or one with holes or several parts."""
    if len(outlines) == 1:
        return polygon(label, outlines[0])
    inside = np.zeros(size, np.bool_)
    for points in outlines:
        inside ^= polygon_mask(polygon(label, points).polygons, size)
    return pixels(label, inside)


def pixels(label: str, mask: NDArray[np.bool_]) -> Annotation:
    """Pixels [H, W] of the whole image. Raises CannotHoldError without any."""
    if not mask.any():
        raise CannotHoldError("no pixel of the image is marked")
    return Annotation(label, mask=run_lengths.encode(mask))


def placed(label: str, bitmap: NDArray[np.bool_], origin: tuple[float, float], size: Size) -> Annotation:
    """Bitmap [h, w] at (left, top) of an image. Raises CannotHoldError where it reaches beyond the image."""
    left, top = round(origin[0]), round(origin[1])
    height, width = bitmap.shape
    if left < 0 or top < 0 or top + height > size[0] or left + width > size[1]:
        raise CannotHoldError(f"the bitmap of {width}×{height} at ({left}, {top}) reaches beyond the image")
    mask = np.zeros(size, np.bool_)
    mask[top : top + height, left : left + width] = bitmap
    return pixels(label, mask)


def unpacked_bitmap(text: str, place: str, *, compressed: bool) -> NDArray[np.bool_]:
    """Bitmap [h, w] of a PNG in base64, in which zlib may have packed it once more; pixels above 0 count.

    Raises BlemishError for other text, and more than 64 MB.
    """
    try:
        data = base64.b64decode(text, validate=True)
        if compressed:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(data, MAX_BITMAP_BYTES)
            if unpacker.unconsumed_tail:
                raise ValueError("more than 64 MB")
    except (binascii.Error, zlib.error, ValueError, TypeError) as error:
        raise BlemishError(
            f"{place} must hold a bitmap in base64. Received: {error}. Correct the file."
        ) from error
    return png_bitmap(data, place)


def png_bitmap(data: bytes, place: str) -> NDArray[np.bool_]:
    """Pixels [h, w] that are marked: by their alpha, where that says anything, else those above 0."""
    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}×{image.height} pixels")
            channels = np.asarray(image.convert("RGBA"))
    except Exception as error:  # decoders meet arbitrary bytes and raise arbitrary types
        raise BlemishError(
            f"{place} must hold a bitmap as PNG. Received: {type(error).__name__}. Correct the file."
        ) from error
    opaque = channels[..., 3] > 0
    return opaque if not opaque.all() else np.asarray(channels[..., :3].any(axis=-1))


def rows_unpacked(counts: Sequence[float], size: Size, place: str) -> NDArray[np.bool_]:
    """Mask [H, W] of run lengths row by row, zeros first. Raises BlemishError where they do not fill it."""
    whole = np.array([int(count) for count in counts], np.int64)
    if (whole < 0).any() or sum(int(count) for count in whole) != size[0] * size[1]:
        raise BlemishError(
            f"{place} must have run lengths that fill {size[1]}×{size[0]} pixels. Received: "
            f"a sum of {int(whole.sum())}. Correct the file."
        )
    return np.repeat(np.arange(len(whole)) % 2 == 1, whole).reshape(size)
