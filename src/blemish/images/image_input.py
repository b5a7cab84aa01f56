"""Images as Python code holds them: a path, an array, a PIL image or the bytes of a file.

All give the pixels that decoding the same file gives. Shape letters: H, W. Colour is RGB.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.decode import read_image
from blemish.images.opening import FORMATS, EncodedImage
from blemish.images.orientation import upright
from blemish.images.stored import deep_layout, loaded_pixels, orientation

ImageInput = str | Path | bytes | Image.Image | NDArray[np.uint8] | NDArray[np.uint16]


def image_reader(image: ImageInput, name: str) -> Callable[[], Pixels]:
    """Function that returns the image's pixels, [H, W] or [H, W, 3] uint8 or uint16.

    name: for messages; a path has its own. What can be read only later, a file or PIL image, may raise
    BlemishError when the function is called.
    Raises BlemishError for what is no image: another type, or an array of another shape or dtype.
    """
    if isinstance(image, str | Path):
        path = Path(image)
        return lambda: read_image(path)
    if isinstance(image, bytes):
        encoded = EncodedImage(image, name)
        return lambda: read_image(encoded)
    if isinstance(image, np.ndarray):
        array: Pixels = image
        refuse_odd_array(array)
        return array.copy  # a copy: a camera may fill its buffer anew
    if isinstance(image, Image.Image):
        return lambda: pil_pixels(image, name)
    raise BlemishError(
        "An image must be a path, a numpy array, a PIL image, or bytes of an image file. "
        f"Received: {type(image).__name__}. Convert it first, for example with numpy.asarray."
    )


def refuse_odd_array(image: Pixels) -> None:
    """Raises BlemishError unless the array is [H, W] or [H, W, 3], not empty, and uint8 or uint16."""
    if image.dtype not in (np.uint8, np.uint16):
        raise BlemishError(
            f"An image array must be uint8 or uint16. Received: {image.dtype}. "
            "Scale its known range to 0 … 255 and convert it."
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or not image.size:
        remedy = "Give gray as image[..., 0], colour as RGB without alpha."
        if not image.size:
            remedy = "Check where it was cut out or read."
        raise BlemishError(
            "An image array must have the shape (height, width), or (height, width, 3) for RGB, and pixels. "
            f"Received: {image.shape}. {remedy}"
        )


def unread_file(image: Image.Image) -> bytes | None:
    """Content of the file behind an image that PIL has opened and not decoded; None for any other.

    PIL would decode what is damaged without a word, and scramble turned gray TIFF.
    """
    file = getattr(image, "fp", None)
    if file is None or image.format not in (*FORMATS, "MPO") or not getattr(image, "tile", None):
        return None
    if getattr(image, "decoderconfig", ())[:1] > (1,):  # a JPEG that is to be decoded at a smaller scale
        return None
    position = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(position)
    return bytes(data)


def pil_pixels(image: Image.Image, name: str) -> Pixels:
    """Pixels of a PIL image, its modes treated as those of a file: alpha dropped, palette as RGB, upright.

    Raises BlemishError for a mode that is neither 8-bit nor 16-bit, and for 16-bit colour, which PIL cuts.
    """
    if deep_layout(image) and image.mode not in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        raise BlemishError(
            f"{name} must have 8 bits per colour, or be gray. Received: 16-bit colour, of which PIL keeps "
            "8 bits. Give the file's path or its bytes."
        )
    if (data := unread_file(image)) is not None:
        return read_image(EncodedImage(data, name), page=image.tell())
    turn = orientation(image)
    try:
        own = image.copy()  # loads it; the copy is of no file format
    except (OSError, SyntaxError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BlemishError(f"{name} must be a whole image. Received: damaged data ({reason}).") from error
    if own.mode == "I":
        values = np.asarray(own)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise BlemishError(
                f"{name} must have values in 0 … 65535. Received: {values.min()} … {values.max()}. "
                "Scale its known range."
            )
        return upright(values.astype(np.uint16), turn)
    return upright(loaded_pixels(own, name), turn)
