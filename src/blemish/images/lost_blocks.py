"""Blocks of zeros where a file system or a broken copy has lost data: what can be told without a checksum.

In compressed data a long run of zeros has no meaning. In plain pixels it is black, which may be right: there
a run is taken for a loss only where all such runs begin and end with a sector of the file, as dark areas do
not.
"""

from __future__ import annotations

import re

SECTOR, PAGE = 512, 4096
MAX_RUNS = 16  # more of them are a pattern of the picture, such as black margins
_ZEROS_OF_CODES = bytes(256)  # 2,048 bits
_SECTOR_OF_ZEROS = bytes(SECTOR)
_ANY_BUT_ZERO = re.compile(rb"[^\0]")


def refuse_zeros_in_codes(data: bytes) -> None:
    """Raises ValueError for a long run of zeros in compressed data, from 256 bytes on."""
    if _ZEROS_OF_CODES in data:
        raise ValueError("zeros in place of data")


def refuse_lost_sectors(data: bytes, offset: int, row_bytes: int) -> None:
    """Raises ValueError where the only black runs in plain pixels are whole sectors of the file.

    data: of all pixels; offset: of its first byte in the file; row_bytes: of a row of pixels
    A run from 512 bytes on must begin and end at a multiple of 512 in the file; one that reaches to the first
    or last pixel, as when writing was broken off, at its other end at a multiple of 4096. Pictures whose rows
    are whole sectors are not judged, nor are those that are black elsewhere too. A dark area of any other
    picture meets the rule by chance once in 4096 times.
    """
    if offset % SECTOR == 0 and row_bytes % SECTOR == 0:
        return
    place, runs = data.find(_SECTOR_OF_ZEROS), 0
    while place >= 0:
        following = _ANY_BUT_ZERO.search(data, place)
        stop = following.start() if following else len(data)
        runs += 1
        if not in_sectors(offset + place, offset + stop, place == 0, stop == len(data)) or runs > MAX_RUNS:
            return
        place = data.find(_SECTOR_OF_ZEROS, stop)
    if runs:
        raise ValueError(f"zeros in place of data, {runs} × whole sectors of the file")


def in_sectors(start: int, stop: int, at_first: bool, at_last: bool) -> bool:
    """True for a run of zeros that is of whole sectors, by its place in the file."""
    if at_first and at_last:
        return False  # a black picture
    if at_first or at_last:
        return (stop if at_first else start) % PAGE == 0
    return start % SECTOR == 0 and stop % SECTOR == 0
