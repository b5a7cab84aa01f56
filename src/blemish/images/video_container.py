"""Containers of videos: how exactly their headers count frames, and whether a file is shorter than it says.

Source: AVI RIFF (Microsoft), ISO/IEC 14496-12 (boxes; 8.6.6 for edit lists).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # that an MP4 or MOV may begin with
_MAX_MOOV = 2**26
_MATROSKA = b"\x1a\x45\xdf\xa3"

ContainerBox = tuple[bytes, int, int]  # kind, start and stop of the content


def uncounted_frames(path: Path, frames: int, rate: float) -> float:
    """Frames by which a healthy video may fall short of its header.

    frames, rate: number of frames and frames a second, by the header
    returns: 0 where the header counts them; those that an edit list hides; else those of a rounded length
    """
    with path.open("rb") as file:
        start = file.read(12)
    if start[:4] == b"RIFF" or start[4:8] in _FIRST_BOXES:
        return hidden_frames(path, frames, rate)
    return 2.0 if start[:4] == _MATROSKA else max(1.0, rate)


def hidden_frames(path: Path, frames: int, rate: float) -> int:
    """Frames of an MP4 or MOV file that an edit list hides, such as those before the start of a cut."""
    with path.open("rb") as file:
        if file.read(8)[4:] not in _FIRST_BOXES:
            return 0
        shown = shown_seconds(file, path.stat().st_size)
    return 0 if shown is None else max(0, math.ceil(frames - shown * rate))


def ends_early(path: Path) -> bool:
    """True for an AVI, MP4 or MOV file that is shorter than its outermost parts say."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF":
            return 8 + int.from_bytes(start[4:8], "little") > size
        return start[4:8] in _FIRST_BOXES and any(stop > size for _, _, stop in boxes(file, 0, size))


def boxes(file: BinaryIO, start: int, stop: int) -> Iterator[ContainerBox]:
    """Boxes that lie one behind the other between two positions."""
    while start + 8 <= stop:
        file.seek(start)
        head = file.read(16)
        length, content = int.from_bytes(head[:4], "big"), start + 8
        if length == 1:
            length, content = int.from_bytes(head[8:16], "big"), start + 16
        following = start + length if length else stop  # 0: up to the end
        if following < content:
            return
        yield head[4:8], content, following
        start = following


def shown_seconds(file: BinaryIO, size: int) -> float | None:
    """Shortest time that an edit list of a track shows; None without one."""
    found = []
    for kind, start, stop in boxes(file, 0, size):
        if kind != b"moov" or stop - start > _MAX_MOOV:
            continue
        ticks = next((inside for inside in boxes(file, start, stop) if inside[0] == b"mvhd"), None)
        for edits in nested(file, (start, stop), (b"trak", b"edts", b"elst")):
            if ticks and (second := time_scale(content_of(file, ticks))):
                found.append(edited_ticks(content_of(file, edits)) / second)
    return min(found, default=None)


def nested(file: BinaryIO, place: tuple[int, int], kinds: tuple[bytes, ...]) -> Iterator[ContainerBox]:
    """Boxes of the last kind, inside those of the kinds before it, each inside the other."""
    for box in list(boxes(file, *place)):
        if box[0] == kinds[0]:
            yield from [box] if len(kinds) == 1 else nested(file, box[1:], kinds[1:])


def content_of(file: BinaryIO, box: ContainerBox) -> bytes:
    file.seek(box[1])
    return file.read(min(box[2] - box[1], _MAX_MOOV))


def time_scale(header: bytes) -> int:
    """Ticks a second of an mvhd box."""
    place = 20 if header[:1] == b"\1" else 12
    return int.from_bytes(header[place : place + 4], "big")


def edited_ticks(edits: bytes) -> int:
    """Ticks of the edits of an elst box that show something; empty ones have the media time −1."""
    width = 8 if edits[:1] == b"\1" else 4
    total = 0
    for start in range(8, len(edits) - 2 * width - 3, 2 * width + 4):
        duration, time = (edits[start + offset : start + offset + width] for offset in (0, width))
        if time != b"\xff" * width:
            total += int.from_bytes(duration, "big")
    return total
