"""Raw PGM and PPM files, whose declared highest value may be any up to 65535.

Pillow keeps 8 bits of a colour and takes a second for a million pixels where the highest value is not 255.
Source: netpbm, formats pgm and ppm.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.arrays import Pixels
from blemish.images.lost_blocks import refuse_lost_sectors


def raw_pnm_pixels(stream: BinaryIO, image: Image.Image) -> Pixels | None:
    """Pixels of an opened file, spread over the type's range; None for a plain (text) or 1-bit one.

    Raises ValueError for too little data, values above the declared highest one, and a second picture behind.
    """
    codec, _, start, arguments = image.tile[0]  # type: ignore[attr-defined]
    if codec == "ppm_plain" or arguments == "1;I":
        return None
    highest = arguments[-1] if isinstance(arguments, tuple) else (65535 if "16" in arguments else 255)
    shape = (image.height, image.width, 3) if image.mode == "RGB" else (image.height, image.width)
    kind, top = (np.dtype(np.uint8), 255) if highest < 256 else (np.dtype(">u2"), 65535)
    stream.seek(start)
    data = stream.read(int(np.prod(shape)) * kind.itemsize)
    refuse_more(stream)
    if len(data) < np.prod(shape) * kind.itemsize:
        raise ValueError("the file ends early")
    refuse_lost_sectors(data, start, len(data) // image.height)
    values: NDArray[Any] = np.frombuffer(data, kind).astype(kind.newbyteorder("="))
    if values.max(initial=0) > highest:
        raise ValueError(f"a value of {values.max()} where {highest} is declared to be the highest")
    if highest != top:
        table = (np.arange(highest + 1, dtype=np.uint64) * top * 2 + highest) // (2 * highest)
        values = table.astype(values.dtype)[values]
    return values.reshape(shape)


def refuse_more(stream: BinaryIO) -> None:
    """Raises ValueError where more than white space follows in the stream."""
    if stream.read(2**16).strip():
        raise ValueError("more data behind the picture, such as a second picture")
