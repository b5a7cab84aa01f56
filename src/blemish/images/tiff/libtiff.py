"""LZW, PackBits and fax encoding unpacked by libtiff, which Pillow brings along.

The packed strips are written into a TIFF in memory that says no more of them than how many bytes a row has,
so that every layout of samples comes back as it was packed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import accumulate, groupby

from blemish.images.opening import open_unlimited
from blemish.images.tiff import tags as tag
from blemish.images.tiff.layout import FAX, Layout
from blemish.images.tiff.tags import Directory


def unpacked_by_libtiff(
    packed: Iterable[bytes], rows: list[int], layout: Layout, directory: Directory
) -> Iterator[bytes]:
    """Unpacked bytes of each strip or tile. rows: of each; runs of equal ones are unpacked at once

    Raises an error, of Pillow's choice, for damaged data.
    """
    data = iter(packed)
    for height, group in groupby(rows):
        members = [next(data) for _ in group]
        content = memoryview(unpacked(members, height, layout, directory))
        size = height * layout.row_bytes
        yield from (bytes(content[start : start + size]) for start in range(0, len(members) * size, size))


def unpacked(strips: list[bytes], rows: int, layout: Layout, directory: Directory) -> bytes:
    """Unpacked bytes of strips with so many rows each, one behind the other."""
    fax = layout.compression in FAX
    width, bits = (layout.chunk_width, 1) if fax else (layout.row_bytes, 8)
    body = b"".join(strips)
    lengths = [len(strip) for strip in strips]
    offsets = list(accumulate([8, *lengths[:-1]]))
    tags = {
        tag.WIDTH: [width],
        tag.HEIGHT: [rows * len(strips)],
        tag.BITS: [bits],
        tag.COMPRESSION: [layout.compression],
        tag.PHOTOMETRIC: [1],
        tag.STRIP_OFFSETS: offsets,
        tag.SAMPLES: [1],
        tag.STRIP_ROWS: [rows],
        tag.STRIP_BYTES: lengths,
    }
    for option in (tag.FAX3_OPTIONS, tag.FAX4_OPTIONS) if fax else ():
        tags[option] = [directory.number(option, 0)]
    with open_unlimited(BytesIO(written(tags, body))) as image:
        image.load()
        return image.tobytes()


def written(tags: dict[int, list[int]], body: bytes) -> bytes:
    """A little-endian TIFF: header, the body from byte 8 on, then the tags, all of 32-bit numbers."""
    start = 8 + len(body)
    values_at = start + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for number, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        place = packed if len(numbers) == 1 else struct.pack("<I", values_at + len(values))
        values += packed if len(numbers) > 1 else b""
        entries += struct.pack("<HHI", number, 4, len(numbers)) + place
    head = struct.pack("<2sHI", b"II", 42, start)
    return head + body + struct.pack("<H", len(tags)) + entries + bytes(4) + values
