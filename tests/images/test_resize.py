"""Resizing: means survive shrinking, sizes follow the shorter side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.images.resize import resized, resized_map, with_shorter_side


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shrinking_averages(dtype: type[np.uint8] | type[np.uint16]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(dtype)
    blocks = image.reshape(10, 4, 15, 4, 3).mean(axis=(1, 3))
    small = resized(image, (10, 15))
    assert small.dtype == dtype
    assert np.abs(small - blocks).max() <= 0.5 + 1e-9


def test_growing_keeps_a_ramp() -> None:
    ramp = np.tile(np.arange(0, 200, 20, dtype=np.uint8), (6, 1))
    grown = resized(ramp, (12, 20)).astype(int)
    assert grown.shape == (12, 20)
    assert np.all(np.diff(grown[0, 1:-1]) == 10)


def test_the_same_size_is_the_same_picture() -> None:
    image = np.zeros((5, 7, 3), np.uint8)
    assert resized(image, (5, 7)) is image


def test_a_map_stays_within_its_range_and_keeps_its_mean_when_it_shrinks() -> None:
    values = np.random.default_rng(1).random((12, 20)).astype(np.float32)
    small, large = resized_map(values, (3, 5)), resized_map(values, (37, 55))
    assert np.allclose(small, values.reshape(3, 4, 5, 4).mean(axis=(1, 3)), atol=1e-6)
    assert large.shape == (37, 55) and large.dtype == np.float32
    assert values.min() <= large.min() and large.max() <= values.max()


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(16, 1000))
def test_the_shorter_side_is_met_and_the_ratio_kept(height: int, width: int, shorter: int) -> None:
    size = with_shorter_side((height, width), shorter)
    assert min(size) == shorter
    assert size[0] * width == pytest.approx(size[1] * height, abs=0.51 * max(height, width))


def test_none_leaves_the_size() -> None:
    assert with_shorter_side((30, 50), None) == (30, 50)
