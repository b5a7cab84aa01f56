"""JPEG data decoded strictly: all that libjpeg-turbo warns of and then paints over is an error here.

libjpeg fills what is missing with gray and goes on after damage, with a warning that Pillow and OpenCV drop.
Two losses that it has no word for are found in the structure: scans of a progressive file that are not there,
and zeros in place of data, which decode as a texture.
Shape letters: H, W. Source: ITU-T T.81, annexes B (markers), F (sequential) and G (progressive).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from blemish.images.opening import RareEncodingError

_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})  # neither lossless nor arithmetic, nor a hierarchy of both
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
MAX_SCANS = 100  # each takes as long as a picture; encoders write some ten
# No code of a photograph is so many zeros long: 256 bits.
_ZEROS = bytes(32)


def jpeg_pixels(data: bytes, *, gray: bool) -> NDArray[np.uint8]:
    """Pixels [H, W] gray or [H, W, 3] RGB of JPEG data.

    Equal to what Pillow gives of whole data, bit by bit. Raises ValueError with the reason where data is
    missing or damaged, so far as can be seen: a changed bit that leaves the codes behind it in step cannot.
    """
    pixels = decoded(data, "GRAY" if gray else "RGB")
    refuse_lost_data(data)
    return pixels[..., 0] if gray else pixels


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(height, width) of JPEG data, from its header. Raises ValueError for a damaged one."""
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    return height, width


def check_inks(data: bytes) -> None:
    """Decode JPEG data of four inks for its errors alone. Raises ValueError as `jpeg_pixels` does."""
    decoded(data, "CMYK")
    refuse_lost_data(data)


def decoded(data: bytes, colours: str) -> NDArray[np.uint8]:
    refuse_many_scans(data)
    try:
        return simplejpeg.decode_jpeg(data, colours)
    except ValueError as error:
        if "subsampling level" in str(error):
            if has_frame(data):
                raise RareEncodingError("a sampling of colours that few programs write") from error
            raise ValueError("a header that does not say how large the picture is") from error
        raise


def tiff_jpeg_pixels(
    data: bytes, tables: bytes, size: tuple[int, int], depth: int, *, ycbcr: bool
) -> NDArray[np.uint8]:
    """Pixels [H, W, depth] of a strip or tile of a TIFF, whose tables may stand elsewhere.

    size: (height, width) that it must have; ycbcr: as the TIFF says, since the strip itself does not
    Raises ValueError for damaged data and another size.
    """
    # The Adobe marker tells the decoder whether three components are YCbCr or RGB already.
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([ycbcr]) if depth == 3 else b""
    if data[:2] != b"\xff\xd8" or (tables and (tables[:2], tables[-2:]) != (b"\xff\xd8", b"\xff\xd9")):
        raise ValueError("a strip or tile that is no JPEG")
    pixels = jpeg_pixels(data[:2] + adobe + tables[2:-2] + data[2:], gray=depth == 1)
    if pixels.shape[:2] != size:
        raise ValueError(f"a strip or tile of {pixels.shape[1]}×{pixels.shape[0]} pixels")
    return pixels.reshape(*size, depth)


def refuse_many_scans(data: bytes) -> None:
    """Raises ValueError for more scans than any encoder writes, and than can be decoded in time."""
    if data.count(b"\xff\xda") > MAX_SCANS:  # which a profile or a preview may hold as well
        with suppress(IndexError, struct.error):  # damage that decoding tells
            if sum(marker == 0xDA for marker, *_ in segments(data)) > MAX_SCANS:
                raise ValueError(f"more than {MAX_SCANS} scans")


def has_frame(data: bytes) -> bool:
    """True where a header says how large the picture is; else libjpeg found none of its sampling either."""
    try:
        return bool(structure(data)[1])
    except (IndexError, struct.error):
        return False


@dataclass(frozen=True)
class JpegScan:
    """Scan of a JPEG: its components, its band of coefficients, and where its data begins.

    first, last: coefficients of 0 … 63; low: lowest bit of them that is known after it
    zeros: whether zeros may be data: blocks that are like the one before
    """

    components: tuple[int, ...]
    first: int
    last: int
    low: int
    start: int
    zeros: bool


def refuse_lost_data(data: bytes) -> None:
    """Raises ValueError where scans are missing, or a long run of zeros stands in the data of one."""
    try:
        frame, components, scans = structure(data)
    except (IndexError, struct.error) as error:
        raise ValueError("segments that end early") from error
    for scan in scans if frame in _HUFFMAN else ():
        if not scan.zeros and 0 <= data.find(_ZEROS, scan.start) < end_of_scan(data, scan):
            raise ValueError("zeros in place of data")
    if frame in _PROGRESSIVE:
        known = {
            (component, index)
            for scan in scans
            for component in (scan.components if scan.low == 0 else ())
            for index in range(scan.first, scan.last + 1)
        }
        complete = len(known) == 64 * len(components)
    else:
        complete = {component for scan in scans for component in scan.components} == set(components)
    if not complete:
        raise ValueError("the last scans are missing")


def end_of_scan(data: bytes, scan: JpegScan) -> int:
    """Position of the first marker behind a scan's data that is no restart marker."""
    marker = _MARKER.search(data, scan.start)
    return marker.start() if marker else len(data)


def structure(data: bytes) -> tuple[int, tuple[int, ...], list[JpegScan]]:
    """Kind of frame (its marker), its components, and its scans, of data that libjpeg found whole.

    The first zero code of a table is its first symbol: that is all of the tables that is kept.
    """
    frame, scans = 0, list[JpegScan]()
    components: tuple[int, ...] = ()
    zero_code: dict[int, int] = {}
    for marker, start, stop in segments(data):
        if marker == 0xC4:
            zero_code |= first_symbols(data[start:stop])
        elif marker in _FRAMES:
            frame, components = marker, tuple(data[start + 6 : start + 6 + 3 * data[start + 5] : 3])
        elif marker == 0xDA:
            scans.append(scan_of(data[start:stop], stop, frame in _PROGRESSIVE, zero_code))
            if frame not in _PROGRESSIVE and set(scans[-1].components) == set(components):
                break  # the usual file: no need to search its data for another scan
    return frame, components, scans


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and stop of each segment with a length, up to the end of the image."""
    position = 2
    while (found := _MARKER.search(data, position)) is not None:
        marker, start = data[found.end() - 1], found.end() + 2
        if marker == 0xD9:
            return
        if marker == 0x01:  # stands alone, without a length
            position = found.end()
            continue
        (length,) = struct.unpack_from(">H", data, found.end())
        position = found.end() + length
        yield marker, start, position


def first_symbols(tables: bytes) -> dict[int, int]:
    """First symbol, whose code is all zeros, of each Huffman table of a DHT segment, by class and number."""
    found, position = dict[int, int](), 0
    while position + 17 < len(tables):
        found[tables[position]] = tables[position + 17]
        position += 17 + sum(tables[position + 1 : position + 17])
    return found


def scan_of(header: bytes, stop: int, progressive: bool, zero_code: dict[int, int]) -> JpegScan:
    """Scan whose SOS segment this is. stop: where its data begins; zero_code: of `first_symbols`"""
    count = header[0]
    components, tables = tuple(header[1 : 1 + 2 * count : 2]), header[2 : 2 + 2 * count : 2]
    first, last, bits = header[1 + 2 * count : 4 + 2 * count]
    if progressive:
        return JpegScan(components, first, last, bits & 15, stop, zeros=first == 0)
    unchanged = all(zero_code.get(t >> 4) == 0 and zero_code.get(0x10 | t & 15) == 0 for t in tables)
    return JpegScan(components, 0, 63, 0, stop, zeros=unchanged)
