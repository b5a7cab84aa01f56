"""WebP chunks: the size by the header, and a search for lost blocks, as the format has no checksum.

Source: RFC 9649, sections 2 and 3.4; RFC 6386, section 9.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from blemish.arrays import Size
from blemish.images.lost_blocks import refuse_zeros_in_codes

_HEADER_BYTES = 12
_ANIMATION, _EXIF = 0x02, 0x08  # flags of VP8X
_WITH_CODES = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANMF"})


@dataclass(frozen=True)
class WebpHeader:
    """Size (height, width) of a WebP's canvas, and whether it is an animation or is turned by EXIF."""

    size: Size
    animated: bool = False
    turned: bool = False


def webp_header(file: BinaryIO) -> WebpHeader | None:
    """Header of a WebP; None for any other file. libwebp takes memory for the canvas when it is opened."""
    file.seek(0)
    data = file.read(30)
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind, content = data[12:16], data[20:]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(content[place : place + 3], "little") for place in (4, 7))
        return WebpHeader((height, width), bool(content[0] & _ANIMATION), bool(content[0] & _EXIF))
    if kind == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return WebpHeader((1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)))
    if kind == b"VP8 ":
        width, height = (number & 0x3FFF for number in struct.unpack_from("<HH", content, 6))
        return WebpHeader((height, width))
    return None


def check_webp(file: BinaryIO) -> None:
    """Raises ValueError for a long run of zeros in the codes of a picture."""
    file.seek(0)
    data = file.read()
    place = _HEADER_BYTES
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if kind in _WITH_CODES:
            refuse_zeros_in_codes(data[place + 8 : place + 8 + length])
        place += 8 + length + length % 2
