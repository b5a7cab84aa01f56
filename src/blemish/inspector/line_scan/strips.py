"""Strips of a web as they come: each fits those before it or says why not; and frames cut from them.

Frames of so many rows are for methods that look at a whole image at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.bit_depth import spread
from blemish.images.decode import with_channels
from blemish.inspector.line_scan.rows import RowWindow
from blemish.inspector.pipeline import Decoded, decoded
from blemish.inspector.sources import Item, refused

UNFIT = re.compile(r'[*?"<>|:\\\[\]]')  # of a pattern, and what no file of another system may be called


def fitting(strips: Iterable[Decoded], *, channels: int | None, bits: int | None = None) -> Iterator[Decoded]:
    """Convert strips to the channels; a strip of another width or type than the first gets an error.

    bits: that 16-bit strips use; a strip with greater values gets an error
    """
    first: Pixels | None = None
    for strip in strips:
        if strip.pixels is None:
            yield strip
            continue
        try:
            stored = spread(strip.pixels, bits, strip.item.name)
            pixels = with_channels(stored, channels)
        except BlemishError as above:
            yield replace(strip, pixels=None, error=str(above))
            continue
        first = pixels[:1] if first is None else first
        error = misfit(strip.item.name, pixels, first)
        yield replace(strip, pixels=None if error else pixels, error=error, stored=stored)


def misfit(name: str, pixels: Pixels, first: Pixels) -> str:
    """Message on a strip that does not fit the first one; "" where it fits."""
    if pixels.shape[1] != first.shape[1]:
        return (
            f"{name} must be as wide as the strips before it, {first.shape[1]} px. "
            f"Received: {pixels.shape[1]} px. Start another inspection where the width changes."
        )
    if pixels.shape[2:] != first.shape[2:] or pixels.dtype != first.dtype:
        return (
            f"{name} must hold pixels of the same type as the strips before it, {kind(first)}. "
            f"Received: {kind(pixels)}. Convert it."
        )
    return ""


def kind(pixels: Pixels) -> str:
    """ "8-bit gray" """
    return f"{8 * pixels.dtype.itemsize}-bit {'gray' if pixels.ndim == 2 else 'colour'}"


def frames_of(items: Iterable[Item], name: str, rows: int) -> Iterator[Item]:
    """Frames of `rows` rows from the joined strips. name: of the web

    The last one, and one above a strip that does not fit, have the rows that there are.
    """
    held = RowWindow()
    for strip in fitting(map(decoded, items), channels=None):
        if strip.pixels is not None:
            held.add(strip.pixels)
        while held.stop - held.first >= rows:
            yield frame(held, name, rows)
        if strip.pixels is None:
            if held.stop > held.first:
                yield frame(held, name, held.stop - held.first)
            yield Item(strip.item.name, strip.item.stem, partial(refused, strip.error))
    if held.stop > held.first:
        yield frame(held, name, held.stop - held.first)


def frame(held: RowWindow, name: str, rows: int) -> Item:
    """Take the next frame out of the rows that are held."""
    start = held.first
    pixels: Pixels = held.view(start, start + rows)
    held.drop(start + rows)
    return Item(*piece_name(name, start), lambda: pixels, first_row=start)


def piece_name(name: str, start: int) -> tuple[str, str]:
    """Name and stem of the piece of a web that begins at row `start`."""
    stem = UNFIT.sub("_", name.replace("/", "__")).strip("._")
    return f"{name}#{start:08d}", f"{stem}__{start:08d}"
