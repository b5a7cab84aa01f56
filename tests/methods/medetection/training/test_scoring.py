from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.methods.medetection.training.scoring import best_f1, mean_by_image, recall_at

SCORED = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=2, max_size=20)


def arrays(scored):
    scores = np.array([score / 10 for score, _ in scored])
    return scores, np.array([label for _, label in scored], np.int64)


@settings(deadline=None)
@given(SCORED)
def test_no_threshold_has_a_better_f1(scored) -> None:
    scores, labels = arrays(scored)
    threshold = best_f1(scores, labels)
    if not labels.any():
        assert threshold == 0.5
        return
    assert f1(labels, scores >= threshold) == max(
        f1(labels, scores >= other) for other in np.linspace(0, 1, 101)
    )


def f1(labels, found) -> float:
    both = (labels.astype(bool) & found).sum()
    return float(2 * both / (labels.sum() + found.sum())) if both else 0.0


def test_the_threshold_lies_in_the_middle_of_a_gap() -> None:
    assert best_f1(np.array([0.9, 0.8, 0.2, 0.1]), np.array([1, 1, 0, 0])) == pytest.approx(0.5)
    assert best_f1(np.array([0.8, 0.4]), np.array([1, 1])) == pytest.approx(0.2)


def test_recall_counts_defective_images_alone() -> None:
    assert recall_at(0.5, np.array([0.9, 0.5, 0.4, 0.9]), np.array([1, 1, 1, 0])) == pytest.approx(2 / 3)
    assert recall_at(0.5, np.array([0.9]), np.array([0])) == 0


def test_an_images_pairs_are_averaged() -> None:
    scores, labels = mean_by_image(
        np.array([0.2, 0.9, 0.4, 0.5]), np.array([7, 3, 7, 3]), np.array([0, 1, 0, 1])
    )
    assert scores.tolist() == pytest.approx([0.7, 0.3]) and labels.tolist() == [1, 0]
