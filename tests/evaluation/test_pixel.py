"""Pixel counts, exact and tolerant, against loops over pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from blemish.evaluation.pixel import MatchCounts, match_counts, pixel_counts, ratio, tolerant_match_counts
from blemish.evaluation.records import PixelCounts

Mask = NDArray[np.bool_]
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))
mask_pairs = shapes.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


def near(pixels: Mask, target: Mask, distance: float) -> int:
    places = np.argwhere(target)
    return sum(
        bool((((places - each) ** 2).sum(axis=1) <= distance**2).any()) for each in np.argwhere(pixels)
    )


@given(mask_pairs)
@settings(deadline=None)
def test_counts_equal_a_loop(masks: tuple[Mask, Mask]) -> None:
    found, truth = masks
    pairs = list(zip(found.ravel().tolist(), truth.ravel().tolist(), strict=True))
    expected = PixelCounts(
        *(pairs.count(kind) for kind in [(True, True), (True, False), (False, True), (False, False)])
    )
    assert pixel_counts(found, truth) == expected


@given(mask_pairs, st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 5.0]))
@settings(deadline=None)
def test_tolerance_equals_a_loop_over_pairs_of_pixels(masks: tuple[Mask, Mask], tolerance: float) -> None:
    found, truth = masks
    expected = MatchCounts(
        near(found, truth, tolerance), found.sum(), near(truth, found, tolerance), truth.sum()
    )
    assert tolerant_match_counts(found, truth, tolerance) == expected


@given(mask_pairs)
@settings(deadline=None)
def test_no_tolerance_is_the_exact_count(masks: tuple[Mask, Mask]) -> None:
    assert tolerant_match_counts(*masks, 0) == match_counts(pixel_counts(*masks))


def test_a_line_moved_by_two_pixels_is_right_at_two_pixels() -> None:
    truth, found = np.zeros((2, 20, 40), bool)
    truth[5, 3:30], found[7, 3:30] = True, True
    assert tolerant_match_counts(found, truth, 2).f1 == 1.0
    assert tolerant_match_counts(found, truth, 1.9).f1 == 0.0


def test_f1_by_hand_and_its_edges() -> None:
    agreement = match_counts(PixelCounts(tp=6, fp=2, fn=4, tn=88))
    assert (agreement.precision, agreement.recall) == (0.75, 0.6)
    assert agreement.f1 == pytest.approx(2 * 6 / (2 * 6 + 2 + 4))
    assert MatchCounts(0, 0, 0, 0).f1 is None  # nothing there, nothing found: no figure, and no perfect one
    assert MatchCounts(0, 0, 0, 5).f1 == 0.0
    assert MatchCounts(0, 5, 0, 0).f1 == 0.0
    assert ratio(1, 0) is None
