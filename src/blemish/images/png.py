"""PNG chunks: their checksums, which Pillow does not compare for pixels, and EXIF behind the pixels.

Source: PNG, third edition (W3C 2025), sections 5.3 and 11.3.4.5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from blemish.images.tiff.tags import exactly

_SIGNATURE_BYTES = 8
_MAX_EXIF = 2**16


def check_png(file: BinaryIO) -> None:
    """Compare the checksum of every chunk.

    Raises ValueError for a wrong one, and where the file ends early.
    """
    for kind, length in chunks(file):
        check = zlib.crc32(exactly(file, length), zlib.crc32(kind))
        if struct.pack(">I", check) != exactly(file, 4):
            raise ValueError(f"wrong checksum of {kind.decode('latin-1')}")


def check_frames(file: BinaryIO) -> None:
    """Count the frames of an animation: Pillow believes the header.

    Raises ValueError where the header says another number, and where the file ends early.
    """
    declared, held = 0, 0
    pixels = False
    for kind, length in chunks(file):
        pixels = pixels or kind == b"IDAT"
        held += kind == b"fcTL"
        following = file.tell() + length + 4
        if kind == b"acTL" and not pixels:
            (declared,) = struct.unpack(">I", exactly(file, 4))
            if not declared:
                raise ValueError("an animation of 0 frames")
        file.seek(following)
    if declared and declared != held:
        raise ValueError(f"an animation of {declared} frames that holds {held}")


def late_exif(file: BinaryIO) -> bytes:
    """Content of an eXIf chunk behind the pixels, where Pillow looks for none; empty without one."""
    behind = False
    for kind, length in chunks(file):
        behind = behind or kind == b"IDAT"
        if behind and kind == b"eXIf" and length <= _MAX_EXIF:
            return exactly(file, length)
        file.seek(length + 4, 1)
    return b""


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each chunk up to the last; the caller moves the file behind it before the next.

    Raises ValueError where the file ends before its last chunk.
    """
    file.seek(_SIGNATURE_BYTES)
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", exactly(file, 8))
        yield kind, length


def exif_orientation(exif: bytes) -> int:
    """Orientation that EXIF data asks for, 0 where it does not."""
    tags = Image.Exif()
    tags.load(exif)
    return int(tags.get(0x0112, 0))
