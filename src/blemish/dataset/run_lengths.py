"""COCO's run lengths: a mask stored as the lengths of its runs, column by column, starting with zeros.

Source: the COCO data format, `segmentation` with `counts` and `size`; compressed, six bits a letter.
Shape letters: H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.dataset.samples import RunLengths

MAX_BITS = 35  # of a count: more than any image has pixels


def encode(mask: NDArray[np.bool_]) -> RunLengths:
    """Run lengths of a mask [H, W]; they alternate zeros and ones, and sum to H·W."""
    pixels = mask.ravel(order="F")
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges = np.concatenate([[0], changes, [pixels.size]])
    runs = np.diff(edges).tolist()
    starts_inside = pixels.size > 0 and bool(pixels[0])
    height, width = mask.shape
    return RunLengths(tuple([0, *runs] if starts_inside else runs), (height, width))


def decode(run_lengths: RunLengths) -> NDArray[np.bool_]:
    """The mask [H, W]. Raises ValueError when the runs do not fill it exactly."""
    height, width = run_lengths.size
    counts = np.array(run_lengths.counts, np.int64)
    if counts.sum() != height * width or (counts < 0).any():
        raise ValueError(f"run lengths sum to {counts.sum()}, not to {height}×{width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")


def unpack(letters: str) -> tuple[int, ...]:
    """The counts inside COCO's compressed string: five bits a letter; from the fourth on, differences.

    Raises ValueError for other letters, an unfinished count and counts that no image has.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in letters:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > MAX_BITS:
            raise ValueError(f"compressed run lengths with the letter {letter!r} at a wrong place")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("compressed run lengths that end within a count")
    return checked(counts)


def checked(counts: Sequence[Any]) -> tuple[int, ...]:
    """The counts. Raises ValueError where one is no whole number from 0 on, or more than an image has."""
    for count in counts:
        whole = isinstance(count, int | float) and not isinstance(count, bool) and count == count // 1
        if not whole or not 0 <= count < 1 << MAX_BITS:
            raise ValueError(f"a run length of {count!r:.40}")
    return tuple(int(count) for count in counts)


def extent(runs: RunLengths) -> Box | None:
    """Box around the ones of a mask, from the runs alone; None without any."""
    height = runs.size[0]
    ends = np.cumsum(np.array(runs.counts, np.int64))
    starts, ends = ends[:-1:2], ends[1::2]
    starts, ends = starts[ends > starts], ends[ends > starts]
    if not len(ends):
        return None
    left, right = int(starts[0] // height), int((ends[-1] - 1) // height) + 1
    if (starts // height != (ends - 1) // height).any():  # a run that goes on in the next column
        return float(left), 0.0, float(right), float(height)
    top, bottom = int((starts % height).min()), int(((ends - 1) % height).max()) + 1
    return float(left), float(top), float(right), float(bottom)
