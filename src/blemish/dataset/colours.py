"""Finding the values and colours that mean classes in masks whose edges are blurred, dithered or JPEG-coded.

A colour or value counts where it fills a 3×3 neighbourhood, or, in regions too thin for that, where it is the
region's most frequent one. The false ones along an edge do neither. Shape letters: H, W.
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
DARK = 127  # no channel above: background, its blurred border, or a dark region of its own
MAX_THIN_REGIONS = 100  # regions thinner than 3 pixels of which the most frequent value is looked up
KERNEL = np.ones((3, 3), np.uint8)


def exact_colours(pixels: NDArray[np.uint8], max_colours: int) -> dict[Colour, int] | None:
    """The colours of a mask [H, W, 3] as drawn, dark ones too, and how many pixels show each; none is black.

    None where there are more, or false ones along edges.
    """
    wide = pixels.astype(np.int32)
    packed = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    marked = packed[packed > 0]
    if len(np.unique(marked[::37])) > max_colours:
        return None
    values, counts = np.unique(marked, return_counts=True)
    if len(values) > max_colours:
        return None
    numbers = np.zeros(packed.shape, np.uint8)
    numbers[packed > 0] = np.searchsorted(values, marked) + 1
    if len(solid_values(numbers)) < len(values):
        return None
    return unpacked(values, counts)


def solid_values(values: NDArray[Any]) -> tuple[int, ...]:
    """Values [H, W] other than 0 that fill a 3×3 neighbourhood, or are the most frequent of a thin region."""
    wide = values if values.dtype in (np.uint8, np.uint16) else values.astype(np.uint16)
    marked = wide > 0
    flat = marked & plateau(wide)
    found = set(np.unique(wide[flat]).tolist())
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(marked.view(np.uint8), connectivity=8)
    solid = np.zeros(count, np.bool_)
    solid[0], solid[labels[flat]] = True, True
    for label in np.flatnonzero(~solid)[:MAX_THIN_REGIONS]:
        left, top, width, height = boxes[label][:4]
        place = np.s_[top : top + height, left : left + width]
        found.add(int(np.bincount(wide[place][labels[place] == label]).argmax()))
    return tuple(sorted(found))


def plateau(values: NDArray[Any]) -> NDArray[np.bool_]:
    """[H, W]: true where a 3×3 neighbourhood of values [H, W] or [H, W, 3] has one value."""
    same = np.equal(cv2.dilate(values, KERNEL), cv2.erode(values, KERNEL))
    return np.asarray(same if same.ndim == 2 else same.all(axis=-1))


def mask_colours(pixels: NDArray[np.uint8]) -> dict[Colour, int]:
    """The class colours of one mask [H, W, 3] and how many pixels show each; black is background.

    A dark colour counts where its region has no bright pixel, as then it is no edge of another.
    """
    brightest = pixels.max(axis=-1)
    bright = brightest > DARK
    spread: NDArray[Any] = cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, KERNEL)
    even = spread.max(axis=-1) <= FLAT_RANGE
    dark = dark_regions(brightest) & even
    if not bright.any():
        return merged([tally(pixels[dark])])
    flat = bright & even
    count, labels = cv2.connectedComponents(bright.view(np.uint8), connectivity=8)
    solid = np.zeros(count, np.bool_)
    solid[labels[flat]] = True
    tallies = [tally(pixels[flat]), tally(pixels[dark])]
    for label in (label for label in np.flatnonzero(~solid)[:100] if label):
        counts = tally(region := pixels[labels == label])
        tallies.append({max(counts, key=lambda colour: (counts[colour], colour)): len(region)})
    return merged(tallies)


def dark_regions(brightest: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """[H, W]: regions that are neither black nor have a bright pixel. brightest: [H, W], of the channels"""
    shown = brightest > 2 * FLAT_RANGE
    count, labels = cv2.connectedComponents(shown.view(np.uint8), connectivity=8)
    lit = np.zeros(count, np.bool_)
    lit[labels[brightest > DARK]] = True
    return shown & ~lit[labels]


def is_coloured(colours: Iterable[Colour]) -> bool:
    """True where any is a colour rather than a gray."""
    return any(max(colour) - min(colour) > min(SAME_COLOUR, max(colour) / 2) for colour in colours)


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
    return unpacked(*np.unique(packed, return_counts=True))


def unpacked(values: NDArray[Any], counts: NDArray[Any]) -> dict[Colour, int]:
    """Colours of packed values 0xRRGGBB, with their numbers."""
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return {(value >> 16, (value >> 8) & 255, value & 255): number for value, number in pairs}
