"""COCO's run lengths: a mask stored as the lengths of its runs, column by column, starting with zeros.

Source: the COCO data format, `segmentation` with `counts` and `size`; compressed, six bits a letter.
Shape letters: H, W.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.samples import RunLengths


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
    """The counts inside COCO's compressed string: five bits a letter; from the fourth on, differences."""
    counts: list[int] = []
    value = shift = 0
    for letter in letters:
        bits = ord(letter) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return tuple(counts)
