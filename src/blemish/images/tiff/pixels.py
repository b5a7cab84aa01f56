"""TIFF pictures as arrays: every layout of unsigned samples that photographs come in, the rest refused.

Written for what the libraries do not give: Pillow cuts 16-bit colour to 8 bits and scrambles gray of
orientations 5 to 8, OpenCV scrambles separate planes and forgets WhiteIsZero, tifffile fills missing strips
with zeros and needs another library for LZW. They are the references of the tests.
Shape letters: H, W; S samples of a pixel. Source: TIFF 6.0 (Adobe 1992).
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.orientation import upright
from blemish.images.tiff import tags as tag
from blemish.images.tiff.layout import (
    ASSOCIATED,
    BLACK_IS_ZERO,
    CMYK,
    PALETTE,
    WHITE_IS_ZERO,
    Layout,
    layout_of,
)
from blemish.images.tiff.samples import stored_samples
from blemish.images.tiff.tags import Directory


def tiff_size(directory: Directory) -> tuple[int, int]:
    """(height, width) of a picture, upright."""
    height, width = directory.number(tag.HEIGHT), directory.number(tag.WIDTH)
    return (width, height) if tiff_orientation(directory) >= 5 else (height, width)


def tiff_orientation(directory: Directory) -> int:
    value = directory.number(tag.ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def tiff_pixels(file: BinaryIO, directory: Directory, name: str) -> Pixels:
    """Pixels of a picture, upright: [H, W] or [H, W, 3], uint8 up to 8 bits a sample, else uint16.

    Fewer bits than the type's fill its range; alpha is dropped. name: of the file, for messages
    Raises BlemishError for a layout that is not read, ValueError with the reason for damaged data.
    """
    layout = layout_of(directory, name)
    samples = stored_samples(file, directory, layout)
    if layout.photometric == PALETTE:
        pixels: Pixels = in_colour_map(samples[..., 0], directory, name)
    elif layout.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        gray = samples[..., 0]
        if layout.photometric == WHITE_IS_ZERO:
            gray = (2**layout.bits - 1) - gray
        pixels = in_full_range(gray, layout.bits)
    elif layout.photometric == CMYK:
        pixels = rgb_of_cmyk(samples[..., :4])
    else:
        pixels = in_full_range(samples[..., :3], layout.bits)
    refuse_multiplied(samples, directory, layout, name)
    return upright(pixels, tiff_orientation(directory))


def in_full_range(values: NDArray[Any], bits: int) -> Pixels:
    """Values of so many bits, spread over 0 … 255, or over 0 … 65535 from 9 bits on."""
    if bits in (8, 16):
        return values
    top, highest = (255 if bits < 8 else 65535), 2**bits - 1
    table = (np.arange(2**bits, dtype=np.uint32) * top * 2 + highest) // (2 * highest)
    return table.astype(np.uint8 if bits < 8 else np.uint16)[values]


def in_colour_map(index: NDArray[Any], directory: Directory, name: str) -> NDArray[np.uint8]:
    """Colours [H, W, 3] of numbers in a palette. Old writers gave it 8 bits, as libtiff knows too."""
    entries: NDArray[Any] = np.array(directory.numbers(tag.COLOUR_MAP), np.uint16).reshape(3, -1).T
    if len(entries) <= int(index.max(initial=0)):
        raise ValueError(f"a palette of {len(entries)} colours, and a pixel of number {index.max()}")
    if entries.max(initial=0) > 255:
        entries = entries >> 8
    return entries.astype(np.uint8)[index]


def rgb_of_cmyk(inks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours [H, W, 3] of inks [H, W, 4], as Pillow converts them."""

    return np.asarray(Image.fromarray(np.ascontiguousarray(inks), "CMYK").convert("RGB"))


def refuse_multiplied(samples: NDArray[Any], directory: Directory, layout: Layout, name: str) -> None:
    """Raises BlemishError for colours that are multiplied by an alpha below its highest value."""
    if ASSOCIATED not in directory.numbers(tag.EXTRA_SAMPLES):
        return
    if int(samples[..., -1].min(initial=2**layout.bits - 1)) < 2**layout.bits - 1:
        raise BlemishError(
            f"{name} must be opaque, or have its colours beside alpha. Received: colours multiplied by it. "
            "Save it without alpha."
        )
