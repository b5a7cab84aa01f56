"""Cameras that store 9 to 15 bits in values of 16, with the highest of them far below 65535.

Pixels are divided by the highest value of their type, so such a picture is 16 times too dark with 12 bits.
Nothing in the file tells: the setting `bits` says how many are used, and without it so few are a question.
"""

from __future__ import annotations

import numpy as np

from blemish.arrays import Pixels
from blemish.errors import BlemishError

COMMON_BITS = (8, 10, 12, 14)  # that cameras give in values of 16


def used_bits(pixels: Pixels) -> int:
    """Fewest bits that hold the greatest value of an image: 0 for a black one, at most those of its type."""
    return int(pixels.max(initial=0)).bit_length()


def likely_bits(used: int) -> int | None:
    """Bits of the camera behind values of 16 that use so many; None where they use more than 14."""
    return next((bits for bits in COMMON_BITS if used <= bits), None)


def spread(pixels: Pixels, bits: int | None, name: str) -> Pixels:
    """Pixels of 16 bits of which so many are used, spread over 0 … 65535; those of 8 bits as they are.

    bits: 8 … 16, or None for all 16; name: of the image, for messages
    Raises BlemishError for a value above the highest of so many bits.
    """
    if bits is None or pixels.dtype != np.uint16:
        return pixels
    highest = 2**bits - 1
    if int(pixels.max(initial=0)) > highest:
        raise BlemishError(
            f"{name} must hold values up to {highest}, as `bits: {bits}` says. Received: {pixels.max()}. "
            "Set the bits that the camera uses."
        )
    table = (np.arange(highest + 1, dtype=np.uint64) * 65535 * 2 + highest) // (2 * highest)
    return pixels if bits == 16 else table.astype(np.uint16)[pixels]


def full_range(pixels: Pixels, bits: int | None, name: str) -> Pixels:
    """Pixels of so many bits spread over their type, see `spread`.

    Raises BlemishError where no bits are given and the pixels use 12 of 16 at most: which is meant?
    """
    refuse_unused_bits(pixels, bits, name)
    return spread(pixels, bits, name)


def refuse_unused_bits(pixels: Pixels, bits: int | None, name: str) -> None:
    """Raises BlemishError for 16-bit pixels that use 12 bits at most, where no setting says how many are."""
    if bits is None and pixels.dtype == np.uint16 and used_bits(pixels) <= 12:
        raise BlemishError(
            f"{name} holds 16-bit values but none above 4095, as from a 12-bit camera: 16 times too dark. "
            "Set `bits: 12` in dataset.yaml and train with it, or `bits: 16` if it is this dark."
        )
