"""The strips of a web as they come: each fits those before it, or says why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from blemish.arrays import Pixels
from blemish.images.decode import with_channels
from blemish.inspector.pipeline import Decoded, decoded
from blemish.inspector.sources import Item


def fitting(strips: Iterable[Decoded], *, channels: int | None) -> Iterator[Decoded]:
    """The strips, brought to the channels; one of another width or type than the first that can be read has
    no pixels but an error.
    """
    first: Pixels | None = None
    for strip in strips:
        if strip.pixels is None:
            yield strip
            continue
        pixels = with_channels(strip.pixels, channels)
        first = pixels[:1] if first is None else first
        error = misfit(strip.item.name, pixels, first)
        yield replace(strip, pixels=None if error else pixels, error=error)


def misfit(name: str, pixels: Pixels, first: Pixels) -> str:
    """What is wrong with a strip beside the first one; "" where nothing is."""
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


def read_strips(items: Iterable[Item], *, channels: int | None) -> Iterator[Decoded]:
    """The same of items that are not read yet."""
    return fitting(map(decoded, items), channels=channels)
