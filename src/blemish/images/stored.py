"""Pixels of an opened file that is no TIFF, as they are stored, read by what tells of damage.

Pillow has read the header. OpenCV reads 16-bit colour PNG, which Pillow would cut to 8 bits.
Shape letters: H, W.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.jpeg import check_inks, jpeg_pixels
from blemish.images.lost_blocks import refuse_lost_sectors
from blemish.images.png import check_frames, check_png, exif_orientation, late_exif
from blemish.images.pnm import raw_pnm_pixels
from blemish.images.webp import check_webp

_GRAY_MODES = frozenset({"1", "L", "LA", "La"})
_COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"})
_DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_ORIENTATION_TAG = 0x0112


def stored_pixels(image: Image.Image, stream: BinaryIO, name: str) -> Pixels:
    """Pixels of the image's frame in stored orientation, gray or RGB.

    stream: that the image was opened from; name: for messages
    Raises BlemishError for a pixel type that is not read, any other error for damaged data.
    """
    if image.format in ("JPEG", "MPO"):
        return decoded_jpeg(image, stream)
    if image.format == "PPM" and image.mode != "F":
        raw = raw_pnm_pixels(stream, image)
        if raw is not None:
            return raw
    if image.format in _CHECKS:
        _CHECKS[image.format](stream, image)
    deep, animated = deep_layout(image), getattr(image, "n_frames", 1) > 1
    image.load()
    if deep and image.mode in _COLOUR_MODES:
        if image.format != "PNG" or animated:
            raise BlemishError(
                f"{name} must be a common 16-bit image. Received: a rare encoding. Save it as PNG."
            )
        return deep_pixels(stream, gray=deep == "gray")
    return loaded_pixels(image, name)


def check_bmp(stream: BinaryIO, image: Image.Image) -> None:
    """Raises ValueError for lost sectors in the pixels of a BMP that is not compressed."""
    codec, _, start, _ = image.tile[0]  # type: ignore[attr-defined]
    if codec == "raw":
        stream.seek(start)
        data = stream.read()
        refuse_lost_sectors(data, start, len(data) // image.height)


_CHECKS: dict[str, Callable[[BinaryIO, Image.Image], None]] = {
    "PNG": lambda stream, _: check_png(stream),
    "WEBP": lambda stream, _: check_webp(stream),
    "BMP": check_bmp,
}


def loaded_pixels(image: Image.Image, name: str) -> Pixels:
    """Pixels of a loaded image, gray or RGB. Raises BlemishError for a mode that is not read."""
    if image.mode in _GRAY_MODES:
        return np.asarray(image.convert("L"))
    if image.mode in _COLOUR_MODES:
        image.info.pop("transparency", None)  # which colour is transparent: dropped, and Pillow would warn
        return np.asarray(image.convert("RGB"))
    deep_pgm = image.mode == "I" and image.format == "PPM"  # Pillow scales it to 16 bits
    if image.mode in _DEEP_MODES or deep_pgm:
        return np.asarray(image).astype(np.uint16)
    raise BlemishError(
        f"{name} must hold 8-bit or 16-bit unsigned pixels. Received: pixel type '{image.mode}'. "
        "Save it as PNG."
    )


def decoded_jpeg(image: Image.Image, stream: BinaryIO) -> NDArray[np.uint8]:
    """Pixels of a JPEG, or of the picture of several that the image stands at."""
    stream.seek(getattr(image, "offset", 0) if image.format == "MPO" else 0)
    data = stream.read()
    if image.mode == "CMYK":
        check_inks(data)
        return np.asarray(image.convert("RGB"))
    return jpeg_pixels(data, gray=image.mode == "L")


def frames(image: Image.Image, stream: BinaryIO) -> list[int]:
    """Numbers of the frames that are pictures; in a JPEG of several, those as large as the first.

    Smaller ones are previews and gain maps. The image stands at its first frame, before and after.
    stream: that the image was opened from
    Raises ValueError for an animation with fewer or more frames than it says.
    """
    if image.format == "PNG":
        place = stream.tell()
        check_frames(stream)
        stream.seek(place)
    count = getattr(image, "n_frames", 1)
    if image.format != "MPO":
        return list(range(count))
    sizes = []
    for frame in range(count):
        image.seek(frame)
        sizes.append(image.size)
    image.seek(0)
    return [frame for frame, size in enumerate(sizes) if size == sizes[0]]


def deep_layout(image: Image.Image) -> str | None:
    """ "gray" or "colour" where the header declares 16 bits that Pillow's mode does not show, else None."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    if image.format == "PPM" and isinstance(arguments, tuple) and arguments[-1] > 255:
        return "colour"
    if image.format not in ("PNG", "TIFF") or ";16" not in str(arguments):
        return None
    return "gray" if str(arguments).startswith("LA") else "colour"


def deep_pixels(stream: BinaryIO, *, gray: bool) -> NDArray[np.uint16]:
    """Pixels [H, W] or [H, W, 3] of a 16-bit PNG that Pillow has found whole; alpha dropped."""
    stream.seek(0)
    pixels = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("no 16-bit pixels")
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if gray else pixels[..., 2::-1]
    return np.ascontiguousarray(pixels, np.uint16)


def orientation(image: Image.Image, stream: BinaryIO | None = None) -> int:
    """EXIF orientation still to be applied, 1 … 8; Pillow turns TIFF itself.

    stream: of a PNG, for EXIF behind its pixels, which Pillow would have to decode before it tells
    """
    if image.format == "TIFF":
        return 1
    try:
        if image.format == "PNG" and "exif" not in image.info:
            value = exif_orientation(late_exif(stream)) if stream else 1
        else:
            value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a damaged EXIF block asks for nothing; the pixels beside it may be whole
        return 1
    return value if value in range(1, 9) else 1
