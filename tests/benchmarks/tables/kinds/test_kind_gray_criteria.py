"""Kittler's and Illingworth's criterion against lists of pixels and mixtures whose best level is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.tables.kinds.gray import kittler_level, minimum_error, otsu_level

Bytes = NDArray[np.uint8]


def criterion(pixels: list[int], level: int) -> float:
    """J(T) = 1 + 2 (P1 ln σ1 + P2 ln σ2) − 2 (P1 ln P1 + P2 ln P2), from the pixels themselves."""
    total = 1.0
    for side in ([p for p in pixels if p <= level], [p for p in pixels if p > level]):
        if not side:
            return math.inf
        share, mean = len(side) / len(pixels), math.fsum(side) / len(side)
        deviation = math.sqrt(math.fsum((p - mean) ** 2 for p in side) / len(side) + 1 / 12)
        total += 2 * share * math.log(deviation) - 2 * share * math.log(share)
    return total


@given(arrays(np.uint8, st.integers(2, 12), elements=st.integers(0, 255)))
def test_the_criterion_is_that_of_every_level_of_the_pixels(values: Bytes) -> None:
    pixels = [int(value) for value in values]
    found = minimum_error(np.bincount(values, minlength=256))
    expected = [criterion(pixels, level) for level in range(255)]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    if len(set(pixels)) > 1:
        assert criterion(pixels, kittler_level(values[None])) <= min(expected) + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_the_level_is_the_best_of_all_on_an_image(seed: int) -> None:
    image = np.random.default_rng(seed).normal(120, 40, (20, 25)).clip(0, 255).astype(np.uint8)
    expected = [criterion(image.ravel().tolist(), level) for level in range(255)]
    assert kittler_level(image) == int(np.argmin(expected))


def mixture(first: tuple[float, float, int], second: tuple[float, float, int]) -> Bytes:
    """Pixels at even quantiles of two normal distributions: mean, deviation, how many of each."""
    parts = [norm.ppf((np.arange(n) + 0.5) / n, mean, deviation) for mean, deviation, n in (first, second)]
    return np.concatenate(parts).round().clip(0, 255).astype(np.uint8)[None]


def test_unequal_deviations_are_parted_where_the_densities_cross_and_otsu_errs() -> None:
    """A narrow surface and a wide, rarer class: the error is least where both weighted densities meet."""
    narrow, wide = (60.0, 4.0, 8000), (140.0, 30.0, 2000)
    image = mixture(narrow, wide)
    grays = np.arange(60, 141)
    first = 0.8 * norm.pdf(grays, *narrow[:2])
    second = 0.2 * norm.pdf(grays, *wide[:2])
    crossing = int(grays[np.argmax(second > first)])
    assert kittler_level(image) == pytest.approx(crossing, abs=2)
    assert otsu_level(image) > crossing + 15  # halfway between the means, into the wide class


def test_a_class_of_a_single_gray_is_parted() -> None:
    """A saturated defect has no variance of its own."""
    surface = mixture((120.0, 10.0, 5000), (120.0, 10.0, 5000))
    image = np.where(np.arange(surface.size)[None] % 50 == 0, 0, surface).astype(np.uint8)
    assert 0 <= kittler_level(image) < 70
    assert kittler_level(np.array([[7, 7, 9]], np.uint8)) in (7, 8)
