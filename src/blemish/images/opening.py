"""Opening image files: the header is read and the size checked first, and every fault is one line.

Pillow reads headers before it unpacks any pixel, so that an oversized image is refused from its header alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from blemish.errors import BlemishError
from blemish.untrusted import regular_file

# A closed list: Pillow also knows formats that start other programs (EPS) or hold no photographs.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
_open_lock = threading.Lock()


class EncodedImage(BytesIO):
    """Bytes of an image file, under a name for messages."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name

    def __str__(self) -> str:
        return self.name


ImageFile = Path | EncodedImage


class RareEncodingError(ValueError):
    """Reason why a whole file is not read: its encoding is one that no reader here knows."""


@contextmanager
def opened(file: ImageFile) -> Iterator[BinaryIO]:
    """The file as a stream; any error inside becomes a BlemishError that names it.

    Raises BlemishError for what is no regular file, too.
    """
    try:
        if isinstance(file, EncodedImage):
            file.seek(0)
            yield file
        else:
            with regular_file(file).open("rb") as stream:
                yield stream
    except BlemishError:
        raise
    except Exception as error:  # decoders meet arbitrary bytes and raise arbitrary types
        raise BlemishError(explained(error, file)) from error


def open_unlimited(stream: BinaryIO) -> Image.Image:
    """Open an image file without Pillow's size limit, a process-wide setting that would hide the size."""
    with _open_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(stream, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def refuse_oversized(name: str, size: tuple[int, int], max_pixels: int) -> None:
    """Raises BlemishError for more than so many pixels. size: (height, width)"""
    height, width = size
    if width * height > max_pixels:
        raise BlemishError(
            f"{name} must have at most {max_pixels} pixels. Received: {width}×{height} = "
            f"{width * height}. Cut it into smaller images, or raise the limit."
        )


def explained(error: Exception, file: ImageFile) -> str:
    """Message for the user in one line: how the file falls short of a whole image, and what to do."""
    if isinstance(error, UnidentifiedImageError):
        empty = not (file.getbuffer().nbytes if isinstance(file, EncodedImage) else file.stat().st_size)
        what = "an empty file" if empty else "something else, or a broken header"
        return f"{file} must be an image ({', '.join(FORMATS)}). Received: {what}. Replace or remove it."
    if isinstance(error, OSError) and error.errno is not None:
        return (
            f"{file} must be a readable file. Received: {error.strerror}. Check the path and its permissions."
        )
    if isinstance(error, MemoryError):
        return f"{file} must fit into memory. Received: too little memory. Cut it into smaller images."
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, RareEncodingError):
        return f"{file} must be a common image. Received: a rare encoding ({reason}). Save it as PNG."
    return (
        f"{file} must be a whole image. Received: truncated or damaged data ({reason}). Replace or remove it."
    )
