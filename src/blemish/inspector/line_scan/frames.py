"""A web cut into frames of so many rows, for methods that look at a whole image at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial

from blemish.arrays import Pixels
from blemish.inspector.line_scan.rows import Rows
from blemish.inspector.line_scan.strips import read_strips
from blemish.inspector.sources import Item, refused

UNFIT = re.compile(r'[*?"<>|:\\\[\]]')  # of a pattern, and what no file of another system may be called


def frames_of(items: Iterable[Item], name: str, rows: int) -> Iterator[Item]:
    """Frames of `rows` rows from the strips joined; the last, and one above a strip that cannot be joined,
    has what there is. name: of the web
    """
    held = Rows()
    for strip in read_strips(items, channels=None):
        if strip.pixels is not None:
            held.add(strip.pixels)
        while held.stop - held.first >= rows:
            yield frame(held, name, rows)
        if strip.pixels is None:
            yield from rest(held, name)
            yield Item(strip.item.name, strip.item.stem, partial(refused, strip.error))
    yield from rest(held, name)


def rest(held: Rows, name: str) -> Iterator[Item]:
    if held.stop > held.first:
        yield frame(held, name, held.stop - held.first)


def frame(held: Rows, name: str, rows: int) -> Item:
    """The next frame, which is then held no more."""
    start = held.first
    pixels: Pixels = held.view(start, start + rows)
    held.drop(start + rows)
    return Item(*piece_name(name, start), lambda: pixels, first_row=start)


def piece_name(name: str, start: int) -> tuple[str, str]:
    """Name and stem of the piece of a web that begins at row `start`."""
    stem = UNFIT.sub("_", name.replace("/", "__")).strip("._")
    return f"{name}#{start:08d}", f"{stem}__{start:08d}"
