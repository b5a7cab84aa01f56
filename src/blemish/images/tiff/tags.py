"""Tags of a TIFF file: its directories, one a picture, in either byte order, as TIFF or BigTIFF.

Only tags that decide on the pixels are read, and these strictly: one that points outside the file is damage,
not a default. What is wrong raises ValueError with the reason alone; `opening` adds the file's name.
Source: TIFF 6.0 (Adobe 1992), section 2; BigTIFF (Aware Systems 2007).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_DIRECTORIES = 100_000
SHARED_BYTES = 1 << 24  # of tags that stand once in a file and are named by several directories
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_UNSIGNED = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}

SUBFILE, OLD_SUBFILE = 254, 255
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION = 256, 257, 258, 259, 262, 266, 270
STRIP_OFFSETS, ORIENTATION, SAMPLES, STRIP_ROWS, STRIP_BYTES, PLANES = 273, 274, 277, 278, 279, 284
FAX3_OPTIONS, FAX4_OPTIONS, PREDICTOR, COLOUR_MAP = 292, 293, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES = 332, 338, 339, 347
READ_TAGS = frozenset(
    {
        SUBFILE,
        OLD_SUBFILE,
        WIDTH,
        HEIGHT,
        BITS,
        COMPRESSION,
        PHOTOMETRIC,
        FILL_ORDER,
        DESCRIPTION,
        STRIP_OFFSETS,
    }
    | {
        ORIENTATION,
        SAMPLES,
        STRIP_ROWS,
        STRIP_BYTES,
        PLANES,
        FAX3_OPTIONS,
        FAX4_OPTIONS,
        PREDICTOR,
        COLOUR_MAP,
    }
    | {TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES}
)


@dataclass(frozen=True)
class Directory:
    """Tags of one picture: type, count and bytes of each. order: of the file's bytes, "<" or ">" """

    order: str
    tags: dict[int, tuple[int, int, bytes]] = field(repr=False)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Unsigned whole numbers of a tag; none where it is missing. Raises ValueError for another type."""
        if tag not in self.tags:
            return ()
        kind, count, data = self.tags[tag]
        if kind not in _UNSIGNED:
            raise ValueError(f"tag {tag} is of type {kind}")
        return struct.unpack(f"{self.order}{count}{_UNSIGNED[kind]}", data)

    def number(self, tag: int, default: int | None = None) -> int:
        """First number of a tag, or the default. Raises ValueError where it is missing and there is none."""
        found = self.numbers(tag)
        if not found and default is None:
            raise ValueError(f"tag {tag} is missing")
        return found[0] if found else default or 0

    def data(self, tag: int) -> bytes:
        """Bytes of a tag; none where it is missing."""
        return self.tags[tag][2] if tag in self.tags else b""


def is_tiff(start: bytes) -> bool:
    """True for the first bytes, at least 4, of a TIFF or BigTIFF file."""
    return start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def pictures(file: BinaryIO) -> list[Directory]:
    """Directories of the pictures of a TIFF, without reduced copies and transparency masks of others.

    Raises ValueError for a file without one, and where its description tells of more than are there.
    """
    found = [directory for directory in directories(file) if is_picture(directory)]
    if not found:
        raise ValueError("no page but reduced ones and masks")
    promised = images_of_imagej(found[0])
    if promised > len(found) == 1:
        raise ValueError(f"a stack of {promised} images of which only the first has tags of its own")
    return found


def is_picture(directory: Directory) -> bool:
    """True where the directory is neither a reduced copy of another picture nor a mask for one."""
    reduced_or_mask = directory.number(SUBFILE, 0) & 0b101 or directory.number(OLD_SUBFILE, 0) == 2
    return not reduced_or_mask and directory.number(PHOTOMETRIC, 1) != 4


def images_of_imagej(directory: Directory) -> int:
    """Number of images that a stack of ImageJ says it holds; 0 elsewhere. Large ones have one directory."""
    lines = directory.data(DESCRIPTION).split(b"\0")[0].split(b"\n")
    counts = [line[7:] for line in lines if line.startswith(b"images=")]
    return int(counts[0]) if lines[0].startswith(b"ImageJ=") and counts and counts[0].isdigit() else 0


def directories(file: BinaryIO) -> Iterator[Directory]:
    """Directories of a TIFF, in the order of their chain.

    Raises ValueError for a chain or tag that leaves the file, for a chain that bites its tail, and for tags
    that hold more than the file, as each may name all of it.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = exactly(file, 8)
    order, big = ("<" if start[:1] == b"I" else ">"), b"+" in start[2:4]
    (offset,) = struct.unpack(order + "Q", exactly(file, 8)) if big else struct.unpack(order + "I", start[4:])
    seen: set[int] = set()
    left = size + SHARED_BYTES
    while offset:
        if offset in seen or len(seen) == MAX_DIRECTORIES:
            raise ValueError("an endless chain of pages")
        if offset >= size:
            raise ValueError("a page beyond the end of the file")
        seen.add(offset)
        file.seek(offset)
        directory, offset = read_directory(file, order, big, size, left)
        left -= sum(len(data) for *_, data in directory.tags.values())
        yield directory


def read_directory(file: BinaryIO, order: str, big: bool, size: int, left: int) -> tuple[Directory, int]:
    """Directory at the file's position, and the offset of the next one, 0 after the last.

    left: most bytes that its tags may hold
    """
    count_form, entry_form, offset_form = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    (count,) = struct.unpack(order + count_form, exactly(file, struct.calcsize(order + count_form)))
    width = struct.calcsize(order + entry_form)
    if count * width > size:
        raise ValueError("more tags than the file can hold")
    entries = exactly(file, count * width)
    (following,) = struct.unpack(order + offset_form, exactly(file, struct.calcsize(order + offset_form)))
    tags: dict[int, tuple[int, int, bytes]] = {}
    for tag, kind, number, value in struct.iter_unpack(order + entry_form, entries):
        if tag in READ_TAGS and kind in _SIZES and tag not in tags:
            left -= number * _SIZES[kind]
            if left < 0:
                raise ValueError("tags that hold more than the file")
            tags[tag] = (kind, number, tag_bytes(file, order, size, number * _SIZES[kind], value))
    return Directory(order, tags), following


def tag_bytes(file: BinaryIO, order: str, size: int, length: int, value: bytes) -> bytes:
    """Bytes of a tag's value, which stand in its entry where they fit there."""
    if length <= len(value):
        return value[:length]
    (offset,) = struct.unpack(order + ("Q" if len(value) == 8 else "I"), value)
    if offset + length > size:
        raise ValueError("a tag beyond the end of the file")
    file.seek(offset)
    return exactly(file, length)


def exactly(file: BinaryIO, length: int) -> bytes:
    """So many bytes from the file's position. Raises ValueError where it ends before."""
    data = file.read(length)
    if len(data) < length:
        raise ValueError("the file ends early")
    return data
