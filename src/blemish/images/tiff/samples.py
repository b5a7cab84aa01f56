"""Samples of a TIFF picture: its strips or tiles unpacked and put in their places.

Packed bytes are unpacked by zlib, libtiff and libjpeg-turbo, each of which tells of damage.
Shape letters: H, W; S samples of a pixel. Source: TIFF 6.0 (Adobe 1992).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from blemish.images.jpeg import tiff_jpeg_pixels
from blemish.images.lost_blocks import refuse_lost_sectors, refuse_zeros_in_codes
from blemish.images.tiff import tags as tag
from blemish.images.tiff.layout import DEFLATE, FAX, JPEG, LZW, NONE, PACKBITS, YCBCR, Layout
from blemish.images.tiff.libtiff import unpacked_by_libtiff
from blemish.images.tiff.tags import Directory

_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def stored_samples(file: BinaryIO, directory: Directory, layout: Layout) -> NDArray[Any]:
    """Samples [H, W, S] as they are stored, uint8 up to 8 bits, else uint16.

    Raises ValueError where a chunk is missing or damaged.
    """
    stored = np.empty(
        (layout.height, layout.width, layout.samples), np.uint8 if layout.bits <= 8 else np.uint16
    )
    for (plane, top, left), chunk in zip(layout.places(), chunks(file, directory, layout), strict=True):
        height, width = min(chunk.shape[0], layout.height - top), min(chunk.shape[1], layout.width - left)
        target = stored[top : top + height, left : left + width]
        if layout.planes == 1:
            target[:] = chunk[:height, :width]
        else:
            target[..., plane] = chunk[:height, :width, 0]
    return stored


def chunks(file: BinaryIO, directory: Directory, layout: Layout) -> Iterator[NDArray[Any]]:
    """Strips or tiles in their order, each [rows, columns, depth]."""
    packed = packed_chunks(file, directory, layout)
    rows = [layout.rows(top) for _, top, _ in layout.places()]
    if layout.compression == JPEG:
        tables, ycbcr = directory.data(tag.JPEG_TABLES), layout.photometric == YCBCR
        for data, height in zip(packed, rows, strict=True):
            size = (height, layout.chunk_width)
            yield tiff_jpeg_pixels(data, tables, size, layout.depth, ycbcr=ycbcr)
        return
    if layout.compression in FAX | {LZW, PACKBITS}:
        packed = unpacked_by_libtiff(packed, rows, layout, directory)
    for data, height in zip(packed, rows, strict=True):
        length = height * layout.row_bytes
        content = inflated(data, length) if layout.compression in DEFLATE else data
        if len(content) < length:
            raise ValueError(f"a strip or tile of {len(content)} bytes in place of {length}")
        yield samples_of(content[:length], height, layout)


def packed_chunks(file: BinaryIO, directory: Directory, layout: Layout) -> Iterator[bytes]:
    """Bytes of the chunks as the file has them, those of the other bit order turned to the common one."""
    offset_tag = tag.TILE_OFFSETS if layout.tiled else tag.STRIP_OFFSETS
    offsets = directory.numbers(offset_tag)
    places = list(layout.places())
    if len(offsets) != len(places):
        raise ValueError(f"{len(offsets)} strips or tiles in place of {len(places)}")
    lengths = directory.numbers(tag.TILE_BYTES if layout.tiled else tag.STRIP_BYTES)
    if not lengths and layout.compression == NONE:
        lengths = tuple(layout.rows(top) * layout.row_bytes for _, top, _ in places)
    if layout.compression == NONE and layout.planes == 1:
        refuse_lost_strips(file, offsets, lengths, layout)
    reverse = directory.number(tag.FILL_ORDER, 1) == 2 and layout.compression != JPEG
    for offset, length in zip(offsets, lengths, strict=True):
        if not offset or not length:
            raise ValueError("a strip or tile without data")
        file.seek(offset)
        data = tag.exactly(file, length)
        if layout.compression in FAX | {LZW, PACKBITS}:
            refuse_zeros_in_codes(data)
        yield data.translate(_REVERSED) if reverse else data


def refuse_lost_strips(
    file: BinaryIO, offsets: tuple[int, ...], lengths: tuple[int, ...], layout: Layout
) -> None:
    """Raises ValueError for lost sectors in plain strips that lie one behind the other, as they mostly do."""
    if not layout.tiled and offsets == tuple(accumulate((offsets[0], *lengths[:-1]))):
        file.seek(offsets[0])
        refuse_lost_sectors(tag.exactly(file, sum(lengths)), offsets[0], layout.row_bytes)


def inflated(data: bytes, length: int) -> bytes:
    """Content of a zlib stream, its checksum compared.

    Raises ValueError for damage, and for more or fewer bytes than `length`.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, length + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(content) != length or not stream.eof:
        raise ValueError("a compressed strip or tile of another length")
    return content


def samples_of(data: bytes, height: int, layout: Layout) -> NDArray[Any]:
    """Samples [height, chunk_width, depth] of an unpacked chunk, its predictor undone."""
    bits, shape = layout.bits, (height, layout.chunk_width, layout.depth)
    if bits == 8:
        samples: NDArray[Any] = np.frombuffer(data, np.uint8).reshape(shape)
    elif bits == 16:
        samples = np.frombuffer(data, layout.order + "u2").astype(np.uint16, copy=False).reshape(shape)
    else:
        samples = bit_fields(np.frombuffer(data, np.uint8).reshape(height, -1), shape, bits)
    if layout.predictor == 2:
        return np.add.accumulate(samples, axis=1, dtype=samples.dtype)
    return samples


def bit_fields(rows: NDArray[np.uint8], shape: tuple[int, int, int], bits: int) -> NDArray[Any]:
    """Numbers of 1 to 16 bits, highest bit first, of rows that each begin with a whole byte."""
    count = shape[1] * shape[2]
    single = np.unpackbits(rows, axis=1, count=count * bits).reshape(-1, count, bits)
    if bits == 1:
        return single.reshape(shape)
    numbers = np.zeros(single.shape[:2], np.uint8 if bits <= 8 else np.uint16)
    for bit in range(bits):
        numbers = (numbers << 1) | single[..., bit]
    return numbers.reshape(shape)
