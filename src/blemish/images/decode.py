"""Safe decoding: an image file becomes an upright gray or RGB array, a bad file becomes one clear error.

Each format is read by what reads it right and tells of damage: JPEG by libjpeg-turbo in strict mode, TIFF by
`tiff`, 16-bit colour PNG by OpenCV, the rest by Pillow. A file of several pictures is read page by page,
never its first alone.
Shape letters: H, W. Colour is RGB. The type is the declared one: uint8, or uint16 for more than 8 bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.opening import EncodedImage, ImageFile, open_unlimited, opened, refuse_oversized
from blemish.images.orientation import upright
from blemish.images.stored import frames, orientation, stored_pixels
from blemish.images.tiff.pixels import tiff_pixels, tiff_size
from blemish.images.tiff.tags import is_tiff, pictures
from blemish.images.webp import webp_header

SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".tif", ".tiff", ".webp"}
    | {".pgm", ".ppm", ".pbm", ".pnm"}
)
# Files that hold pictures, in formats that are not read: named where they are met, never passed over.
UNREAD_IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in [
        "gif",
        "heic",
        "heif",
        "hif",
        "avif",
        "jp2",
        "j2k",
        "jpf",
        "jpx",
        "jpm",
        "jxl",
        "jxr",
        "wdp",
        "exr",
        "hdr",
        "pfm",
        "pam",
        "dng",
        "cr2",
        "cr3",
        "crw",
        "nef",
        "nrw",
        "arw",
        "srf",
        "orf",
        "rw2",
        "raf",
        "pef",
        "srw",
        "raw",
        "psd",
        "psb",
        "xcf",
        "tga",
        "pcx",
        "sgi",
        "ras",
        "dds",
        "ico",
        "icns",
        "svg",
        "eps",
        "dcm",
        "fits",
        "fit",
        "czi",
        "lsm",
        "nd2",
        "btf",
        "tf8",
        "qoi",
    ]
)
MAX_PIXELS = 2**28


def read_image(
    path: Path | str | EncodedImage,
    *,
    channels: int | None = None,
    page: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """Pixels of an image file, as seen: orientation applied, alpha dropped, palette and CMYK as RGB.

    channels: None as stored; 1 luminance; 3 RGB, gray repeated
    page: of a file of several pictures, from 0; None for a file that must hold one
    max_pixels: more than this is refused from the header alone
    returns: [H, W] or [H, W, 3] uint8 or uint16; fewer bits than the type has fill its range
    Raises BlemishError that names the file when it is missing, no image, damaged, too large, in a rare
    encoding, or of several pictures without a page.
    """
    assert channels in (None, 1, 3), channels
    file = path if isinstance(path, EncodedImage) else Path(path)
    with opened(file) as stream:
        if is_tiff(stream.read(4)):
            found = pictures(stream)
            directory = found[page_number(file, page, len(found))]
            refuse_oversized(str(file), tiff_size(directory), max_pixels)
            pixels = tiff_pixels(stream, directory, str(file))
        else:
            pixels = untiff_pixels(stream, file, page, max_pixels)
    return with_channels(pixels, channels)


def untiff_pixels(stream: BinaryIO, file: ImageFile, page: int | None, max_pixels: int) -> Pixels:
    """Pixels of a page of any format but TIFF, upright."""
    if (webp := webp_header(stream)) is not None:
        refuse_oversized(str(file), webp.size, max_pixels)
    stream.seek(0)
    with open_unlimited(stream) as image:
        refuse_oversized(str(file), (image.height, image.width), max_pixels)
        found = frames(image, stream)
        turn = orientation(image, stream)
        image.seek(found[page_number(file, page, len(found))])
        refuse_oversized(str(file), (image.height, image.width), max_pixels)
        return upright(stored_pixels(image, stream, str(file)), turn)


def page_number(file: ImageFile, page: int | None, count: int) -> int:
    """Page to be read of so many. Raises BlemishError where none is asked for and there are several."""
    if page is None and count > 1:
        raise BlemishError(
            f"{file} must hold one picture. Received: {count} pages or frames. "
            "Save each as a file of its own."
        )
    if page is not None and page not in range(count):
        raise BlemishError(f"page must be in 0 … {count - 1} for {file}. Received: {page}.")
    return page or 0


def page_count(path: Path | str | EncodedImage) -> int:
    """Number of pictures in an image file, from its headers: pages of a TIFF, frames of an animation.

    Reduced copies and masks of a TIFF, and previews of a JPEG, do not count. Raises BlemishError as
    `read_image` does.
    """
    file = path if isinstance(path, EncodedImage) else Path(path)
    with opened(file) as stream:
        if is_tiff(stream.read(4)):
            return len(pictures(stream))
        if (webp := webp_header(stream)) is not None and not webp.animated:
            return 1
        stream.seek(0)
        with open_unlimited(stream) as image:
            return len(frames(image, stream))


def with_channels(pixels: Pixels, channels: int | None) -> Pixels:
    """Pixels [H, W] or [H, W, 3] with the channels that `read_image` takes: None as they are, 1, or 3."""
    if channels == 1:
        return luminance(pixels)
    if channels == 3 and pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return pixels


def image_size(path: Path | str) -> tuple[int, int]:
    """(height, width) as `read_image` would return it, of the first page, from the header alone."""
    with opened(Path(path)) as stream:
        if is_tiff(stream.read(4)):
            return tiff_size(pictures(stream)[0])
        if (webp := webp_header(stream)) is not None and not webp.turned:
            return webp.size
        stream.seek(0)
        with open_unlimited(stream) as image:
            width, height = image.size
            return (width, height) if orientation(image, stream) >= 5 else (height, width)


def luminance(image: Pixels) -> Pixels:
    """Gray [H, W] of an RGB image, ITU-R 601 weights, within one level of exact; gray comes back as it is."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def to_unit(image: Pixels) -> NDArray[np.float32]:
    """Pixels as float32 in [0, 1], by the declared type alone: uint8 / 255, uint16 / 65535."""
    return np.divide(image, np.float32(largest_value(image)), dtype=np.float32)


def to_bytes(image: Pixels) -> NDArray[np.uint8]:
    """Pixels as uint8: uint16 is divided by 257 and rounded, so that 0 … 65535 fills 0 … 255."""
    if largest_value(image) == 255:
        return image.astype(np.uint8, copy=False)
    return cv2.convertScaleAbs(image, alpha=1 / 257)


def largest_value(image: Pixels) -> int:
    """255 for uint8 or 65535 for uint16.

    Raises BlemishError for another type, whose range would be a guess.
    """
    if image.dtype == np.uint8:
        return 255
    if image.dtype == np.uint16:
        return 65535
    raise BlemishError(
        f"An image must be uint8 or uint16. Received: {image.dtype}. Scale it by its known range."
    )
