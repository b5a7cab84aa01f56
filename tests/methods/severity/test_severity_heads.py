"""Severities of the outputs of stage 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.methods.severity.heads import severities_from, softly_limited

FLOATS = st.floats(-1e4, 1e4, width=32)


def test_the_severity_of_a_hurdle_is_its_probability_times_how_severe() -> None:
    """By hand: logits of 0 and ln 3 are probabilities of 1/2 and 3/4."""
    outputs = np.float32([[[0, np.log(3)]], [[np.log(3), 0]]])
    assert severities_from(outputs, "hurdle")[0].tolist() == pytest.approx([12 * 3 / 8] * 2)
    assert severities_from(outputs, "paper") is not None
    np.testing.assert_array_equal(severities_from(outputs[:1], "paper"), outputs[0])


@given(FLOATS, FLOATS)
def test_severities_of_a_hurdle_are_in_range(defective: float, severe: float) -> None:
    assert 0 <= severities_from(np.float32([[[defective]], [[severe]]]), "hurdle").item() <= 12


@given(st.lists(st.floats(-20, 60, width=32), min_size=2, max_size=20))
def test_a_soft_limit_keeps_the_order_and_the_severities_up_to_six(values: list[float]) -> None:
    severities = np.float32(sorted(values))
    limited = softly_limited(severities)
    assert limited.dtype == np.float32 and (np.diff(limited) >= 0).all()
    assert limited.min() >= 0 and limited.max() <= 12
    low = severities <= 6
    np.testing.assert_array_equal(limited[low], np.maximum(severities[low], 0))


def test_a_soft_limit_has_no_ties_beyond_twelve() -> None:
    assert (np.diff(softly_limited(np.arange(6, 60, dtype=np.float32))) > 0).all()
