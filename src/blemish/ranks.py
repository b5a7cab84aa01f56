"""Ranks and the area under the ROC curve, for methods that train by it and for evaluation alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def auroc(scores: ArrayLike, defective: ArrayLike) -> float | None:
    """Probability that a defective image scores above a clean one, ties counting half; None without both.

    scores: [N]; defective: [N], true or 1 for a defective image
    """
    truth = np.asarray(defective, dtype=bool)
    bad, good = int(truth.sum()), int((~truth).sum())
    if not bad or not good:
        return None
    rank_sum = average_ranks(scores)[truth].sum()
    return float((rank_sum - bad * (bad + 1) / 2) / (bad * good))


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of their places. values: [N]; returns: [N]"""
    numbers = np.asarray(values, dtype=np.float64)
    _, group, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[group]
