"""Limits learned from training images: their margins depend on how many there are and how much they vary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.covariance import ledoit_wolf

from blemish.inspector.input_check import KnownInputs
from blemish.training.input_statistics import (
    MIN_MARGIN,
    RANGE_MARGIN,
    TAIL,
    brightness_limits,
    fitted,
    known_inputs,
    limits,
    shrunk_covariance,
)

values = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=60).map(np.array)


@given(values)
def test_every_training_image_is_accepted(known: np.ndarray) -> None:
    found = limits(known, offset=0.02)
    assert all(found.side(value) == 0 for value in known)
    assert found.low == pytest.approx(known.min(), rel=1e-5) and found.high == pytest.approx(
        known.max(), rel=1e-5
    )


def test_the_interval_is_that_of_a_new_value_of_a_normal_distribution() -> None:
    logs = np.random.default_rng(0).normal(-1, 0.1, 50)
    found = limits(np.exp(logs))
    half = stats.t.ppf(1 - TAIL, 49) * logs.std(ddof=1) * np.sqrt(1 + 1 / 50)
    beyond = RANGE_MARGIN * logs.std(ddof=1) / np.sqrt(50)
    assert found.accepted_to is not None and found.accepted_from is not None
    assert np.log(found.accepted_to) == pytest.approx(max(logs.mean() + half, logs.max() + beyond), abs=1e-4)
    assert np.log(found.accepted_from) == pytest.approx(
        min(logs.mean() - half, logs.min() - beyond), abs=1e-4
    )


def test_new_values_are_seldom_outside_and_a_change_of_15_percent_is_where_little_varies() -> None:
    generator = np.random.default_rng(0)
    for count, deviation in ((30, 0.02), (100, 0.02), (100, 0.3)):
        outside = changed = 0.0
        for _ in range(50):
            found = limits(np.exp(generator.normal(-1, deviation, count)))
            new = np.exp(generator.normal(-1, deviation, 100))
            outside += np.mean([found.side(value) != 0 for value in new]) / 50
            changed += np.mean([found.side(value) > 0 for value in new * 1.15]) / 50
        assert outside < 0.005
        assert changed > 0.95 if deviation == 0.02 else changed < 0.1


def test_few_images_have_wide_limits() -> None:
    widths = []
    for count in (1, 2, 5, 30, 1000):
        found = limits(np.full(count, 0.5))
        assert found.accepted_to is not None
        widths.append(found.accepted_to / 0.5)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 and widths[-1] == pytest.approx(np.exp(MIN_MARGIN), rel=0.01)


def test_outliers_are_left_out_where_that_is_asked_for() -> None:
    known = np.append(np.exp(np.random.default_rng(0).normal(0, 0.02, 199)), [3.0])
    wide, narrow = limits(known), limits(known, ignored=0.01)
    assert wide.side(2.5) == 0 and narrow.side(2.5) == 1 and narrow.high == 3.0


def test_nothing_is_as_bright_as_white() -> None:
    found = brightness_limits(np.random.default_rng(0).uniform(0.2, 0.8, 20))
    assert found.accepted_to is not None and 0.8 < found.accepted_to < 0.9


def test_the_covariance_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for count in (8, 40, 400):
        deviations = generator.normal(size=(count, 6)) @ generator.normal(size=(6, 6))
        deviations -= deviations.mean(0)
        assert shrunk_covariance(deviations) == pytest.approx(
            ledoit_wolf(deviations, assume_centered=True)[0]
        )


def test_a_change_of_exposure_is_found_whatever_else_varies() -> None:
    generator = np.random.default_rng(0)
    response, other = np.array([1.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.2, -0.5, 2.0])
    descriptors = generator.normal(size=(300, 1)) * other + generator.normal(0, 0.05, (300, 4))
    mean, whitening, weights = fitted(descriptors, np.tile(response, (300, 1)))
    assert response @ weights == pytest.approx(1)
    assert ((descriptors - mean) @ weights).std() < 0.1 < (descriptors - mean).std(0).max()
    assert np.abs(np.triu(whitening, 1)).max() < 1e-9 * np.abs(whitening).max()
    variances = np.cov(whitening @ (descriptors - mean).T)
    assert (np.diag(variances) < 1.1).all() and np.abs(variances - np.diag(np.diag(variances))).max() < 0.2


@pytest.mark.parametrize("level", [0, 110, 255])
def test_copies_of_one_image_are_like_themselves(level: int) -> None:
    pixels = np.full((40, 50), level, np.uint8)
    if level:
        pixels[::3, ::2] -= 40
    known = KnownInputs.model_validate_json(known_inputs([pixels] * 12).model_dump_json())
    assert known.reasons(pixels) == ()
