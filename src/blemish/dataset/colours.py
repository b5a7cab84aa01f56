"""Finding the colours that mean classes in colour masks whose edges are blurred, dithered or JPEG-coded.

A colour counts where it fills a 3×3 neighbourhood, or, in regions too thin for that, where it is the region's
most frequent one. The false colours along an edge do neither. Shape letters: H, W.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Colour

FLAT_RANGE = 24  # largest difference inside a 3×3 neighbourhood of one colour; JPEG noise is below
SAME_COLOUR = 64  # colours nearer than this are one
DARK = 127  # no channel above: background, or its blurred border


def mask_colours(pixels: NDArray[np.uint8]) -> dict[Colour, int]:
    """The class colours of one mask [H, W, 3] and how many pixels show each; black is background."""
    bright = pixels.max(axis=-1) > DARK
    if not bright.any():
        return {}
    spread: NDArray[Any] = cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    flat = bright & (spread.max(axis=-1) <= FLAT_RANGE)
    count, labels = cv2.connectedComponents(bright.view(np.uint8), connectivity=8)
    solid = np.zeros(count, np.bool_)
    solid[labels[flat]] = True
    tallies = [tally(pixels[flat])]
    for label in (label for label in np.flatnonzero(~solid)[:100] if label):
        counts = tally(region := pixels[labels == label])
        tallies.append({max(counts, key=lambda colour: (counts[colour], colour)): len(region)})
    return merged(tallies)


def is_coloured(colours: Iterable[Colour]) -> bool:
    """True where any is a colour rather than a gray."""
    return any(max(colour) - min(colour) > SAME_COLOUR for colour in colours)


def merged(tallies: Iterable[Mapping[Colour, int]]) -> dict[Colour, int]:
    """Join tallies; near colours are counted as the most frequent of them, which is snapped to 0 and 255."""
    total: dict[Colour, int] = {}
    for counts in tallies:
        for colour, number in counts.items():
            total[colour] = total.get(colour, 0) + number
    joined: dict[Colour, int] = {}
    for colour, number in sorted(total.items(), key=lambda item: (-item[1], item[0])):
        near = nearest(colour, list(joined))
        joined[near or snapped(colour)] = joined.get(near or snapped(colour), 0) + number
    return joined


def nearest(colour: Colour, known: Sequence[Colour]) -> Colour | None:
    """The nearest of the known colours; None where it is farther than `SAME_COLOUR`."""
    best = min(known, key=lambda other: distance(colour, other), default=None)
    return best if best is not None and distance(colour, best) < SAME_COLOUR else None


def distance(first: Colour, second: Colour) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5)


def snapped(colour: Colour) -> Colour:
    """Colour with values near 0 and 255 set to these, as JPEG changes them and names should not show it."""
    red, green, blue = (0 if v <= FLAT_RANGE else 255 if v >= 255 - FLAT_RANGE else v for v in colour)
    return (red, green, blue)


def tally(pixels: NDArray[np.uint8]) -> dict[Colour, int]:
    """How many of the pixels [..., 3] have each colour; black is left out."""
    wide = pixels[pixels.any(axis=-1)].astype(np.int32)
    packed = (wide[:, 0] << 16) | (wide[:, 1] << 8) | wide[:, 2]
    values, counts = np.unique(packed, return_counts=True)
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return {(value >> 16, (value >> 8) & 255, value & 255): number for value, number in pairs}
