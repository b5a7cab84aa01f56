"""Safe decoding: an image file becomes an upright gray or RGB array, a bad file becomes one clear error.

Pillow reads the header first, so that an oversized image is refused before any pixel is unpacked; it also
tells truncated files from whole ones. OpenCV reads 16-bit colour, which Pillow would cut to 8 bits.
Shape letters: H, W. Colour is RGB. The type is the declared one: uint8, or uint16 for 16-bit files.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from blemish.arrays import Pixels
from blemish.errors import BlemishError

# A closed list: Pillow also knows formats that start other programs (EPS) or hold no photographs.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm"})
MAX_PIXELS = 2**28

_GRAY_MODES = frozenset({"1", "L", "LA", "La"})
_COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"})
_DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_ORIENTATION_TAG = 0x0112
_open_lock = threading.Lock()


class EncodedImage(BytesIO):
    """Bytes of an image file, under a name for messages."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name

    def __str__(self) -> str:
        return self.name

    def read_bytes(self) -> bytes:
        return self.getvalue()


ImageFile = Path | EncodedImage


def read_image(
    path: Path | str | EncodedImage, *, channels: int | None = None, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Pixels of an image file, as seen: orientation applied, alpha dropped, palette and CMYK as RGB.

    channels: None as stored; 1 luminance; 3 RGB, gray repeated
    max_pixels: more than this is refused from the header alone
    returns: [H, W] or [H, W, 3] uint8 or uint16; 1-bit becomes 0 and 255
    Raises BlemishError that names the file when it is missing, no image, truncated, or too large.
    """
    assert channels in (None, 1, 3), channels
    file = path if isinstance(path, EncodedImage) else Path(path)
    with opened(file, max_pixels) as image:
        pixels = upright(stored_pixels(image, file), orientation(image))
    return with_channels(pixels, channels)


def with_channels(pixels: Pixels, channels: int | None) -> Pixels:
    """Pixels [H, W] or [H, W, 3] with the channels that `read_image` takes: None as they are, 1, or 3."""
    if channels == 1:
        return luminance(pixels)
    if channels == 3 and pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return pixels


def image_size(path: Path | str) -> tuple[int, int]:
    """(height, width) as `read_image` would return it, from the header alone."""
    with opened(Path(path), None) as image:
        width, height = image.size
        return (width, height) if orientation(image) >= 5 else (height, width)


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


@contextmanager
def opened(path: ImageFile, max_pixels: int | None) -> Iterator[Image.Image]:
    """The file with its header read and its size checked; any error inside becomes a BlemishError."""
    try:
        with open_unlimited(path) as image:
            width, height = image.size
            if max_pixels is not None and width * height > max_pixels:
                raise BlemishError(
                    f"{path} must have at most {max_pixels} pixels. Received: {width}×{height} = "
                    f"{width * height}. Cut it into smaller images, or raise the limit."
                )
            yield image
    except BlemishError:
        raise
    except Exception as error:  # decoders meet arbitrary bytes and raise arbitrary types
        raise BlemishError(explained(error, path)) from error


def open_unlimited(path: ImageFile) -> Image.Image:
    """Open an image file without Pillow's size limit, a process-wide setting that would hide the size."""
    with _open_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def explained(error: Exception, path: ImageFile) -> str:
    """Message for the user in one line: how the file falls short of a whole image, and what to do."""
    if isinstance(error, FileNotFoundError):
        return f"{path} must exist. Received: no such file. Check the path."
    if isinstance(error, UnidentifiedImageError):
        what = "something else, or a broken header" if path.read_bytes() else "an empty file"
        return f"{path} must be an image ({', '.join(FORMATS)}). Received: {what}. Replace or remove it."
    if isinstance(error, OSError) and error.errno is not None:
        return (
            f"{path} must be a readable file. Received: {error.strerror}. Check the path and its permissions."
        )
    if isinstance(error, MemoryError):
        return f"{path} must fit into memory. Received: too little memory. Cut it into smaller images."
    reason = " ".join(str(error).split()) or type(error).__name__
    return (
        f"{path} must be a whole image. Received: truncated or damaged data ({reason}). Replace or remove it."
    )


def stored_pixels(image: Image.Image, path: ImageFile) -> Pixels:
    """Pixels in stored orientation, gray or RGB. Loading them shows whether the file is whole."""
    deep, mode = deep_layout(image), image.mode
    image.load()
    if deep and mode in _COLOUR_MODES:
        return deep_pixels(path, gray=deep == "gray")
    if mode in _GRAY_MODES:
        return np.asarray(image.convert("L"))
    if mode in _COLOUR_MODES:
        return np.asarray(image.convert("RGB"))
    deep_pgm = mode == "I" and image.format == "PPM"  # Pillow scales it to 16 bits
    if mode in _DEEP_MODES or deep_pgm:
        return np.asarray(image).astype(np.uint16)
    raise BlemishError(
        f"{path} must hold 8-bit or 16-bit unsigned pixels. Received: pixel type '{mode}'. Save it as PNG."
    )


def deep_layout(image: Image.Image) -> str | None:
    """ "gray" or "colour" where the header declares 16 bits that Pillow's mode does not show, else None."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    if image.format == "PPM" and isinstance(arguments, tuple) and arguments[-1] > 255:
        return "colour"
    if image.format not in ("PNG", "TIFF") or ";16" not in str(arguments):
        return None
    return "gray" if str(arguments).startswith("LA") else "colour"


def deep_pixels(path: ImageFile, *, gray: bool) -> NDArray[np.uint16]:
    """Pixels [H, W] or [H, W, 3] of a 16-bit file that Pillow has found whole; alpha dropped."""
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise BlemishError(
            f"{path} must be a common 16-bit image. Received: a rare encoding. Save it as PNG."
        )
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if gray else pixels[..., 2::-1]
    return np.ascontiguousarray(pixels, np.uint16)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation still to be applied, 1 … 8; Pillow turns TIFF itself.

    A PNG may carry EXIF after its pixels; that is left alone, as asking for it would decode the file.
    """
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a damaged EXIF block asks for nothing; the pixels beside it may be whole
        return 1
    return value if value in range(1, 9) else 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels turned and mirrored as EXIF orientation 1 … 8 asks."""
    turned: NDArray[Any] = pixels
    if orientation >= 5:
        turned = turned.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)
