"""Ranges of 16-bit images that use fewer bits, on values worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.images.bit_depth import likely_bits, refuse_unused_bits, spread, used_bits


@pytest.mark.parametrize(
    ("highest", "bits"), [(0, 0), (1, 1), (255, 8), (256, 9), (4095, 12), (4096, 13), (65535, 16)]
)
def test_used_bits_are_those_of_the_greatest_value(highest: int, bits: int) -> None:
    assert used_bits(np.array([[0, highest]], np.uint16)) == bits


@pytest.mark.parametrize(
    ("used", "camera"), [(0, 8), (8, 8), (9, 10), (10, 10), (11, 12), (12, 12), (14, 14), (15, None)]
)
def test_cameras_have_even_numbers_of_bits(used: int, camera: int | None) -> None:
    assert likely_bits(used) == camera


@pytest.mark.parametrize("bits", range(8, 17))
def test_black_stays_black_the_highest_becomes_white_and_order_is_kept(bits: int) -> None:
    stored = np.arange(2**bits, dtype=np.uint16).reshape(2, -1)
    seen = spread(stored, bits, "a")
    assert seen.dtype == np.uint16
    assert np.array_equal(seen.ravel(), np.floor(stored.ravel() * (65535 / (2**bits - 1)) + 0.5))
    if bits < 16:
        with pytest.raises(BlemishError, match=rf"a must hold values up to {2**bits - 1}, as `bits: {bits}`"):
            spread(np.array([[2**bits]], np.uint16), bits, "a")


def test_eight_bits_and_no_setting_change_nothing() -> None:
    eight, sixteen = np.full((2, 2), 9, np.uint8), np.full((2, 2), 9, np.uint16)
    assert spread(eight, 12, "a") is eight
    assert spread(sixteen, None, "a") is sixteen


@pytest.mark.parametrize(
    ("highest", "kind", "bits", "asked"),
    [
        (4095, np.uint16, None, True),
        (0, np.uint16, None, True),
        (4096, np.uint16, None, False),
        (4095, np.uint16, 16, False),
        (4095, np.uint16, 12, False),
        (9, np.uint8, None, False),
    ],
)
def test_a_range_that_may_be_a_cameras_is_asked_about(
    highest: int, kind: type, bits: int | None, asked: bool
) -> None:
    pixels: NDArray[Any] = np.array([[0, highest]], kind)
    if asked:
        with pytest.raises(
            BlemishError, match=r"a holds 16-bit values but none above 4095.*`bits: 12`.*`bits: 16`"
        ):
            refuse_unused_bits(pixels, bits, "a")
    else:
        refuse_unused_bits(pixels, bits, "a")
