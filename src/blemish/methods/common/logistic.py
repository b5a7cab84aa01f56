"""Logistic regression on few images, with weights of at least 0 that are drawn towards a prior; numpy alone.

Letters: n images, F statistics of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.methods.common.folds import FOLDS, stratified_folds, usable_groups

MIN_SPREAD = 0.25  # of a statistic over the images; a lesser one says nothing of new images
SHRINKAGE = 0.3  # how strongly the weights are drawn towards the prior
ITERATIONS = 2000
MIN_GAIN = 1e-3  # of the log losses; a lesser one may be rounding

Statistics = NDArray[np.float64]


def fit_logistic(
    statistics: Statistics, defective: NDArray[np.bool_], prior: Sequence[float]
) -> tuple[NDArray[np.float64], float]:
    """Weights [F] of the statistics and the bias of their sum, the log odds that an image is defective.

    Both kinds of image count alike as a whole. Minimises the mean log loss plus SHRINKAGE / 2 · |w − prior|²
    over standardised statistics, by projected gradient descent; the problem is convex. A statistic that
    hardly varies is divided by `MIN_SPREAD`: by its own spread, a small step beyond these images would
    outweigh all other statistics.
    statistics: [n, F]; defective: [n], some of each kind; prior: [F], of the standardised statistics
    """
    center, spread = statistics.mean(axis=0), np.maximum(statistics.std(axis=0), MIN_SPREAD)
    inputs = np.column_stack([(statistics - center) / spread, np.ones(len(statistics))])
    truth = defective.astype(np.float64)
    counts = np.where(defective, 0.5 / truth.mean(), 0.5 / (1 - truth.mean())) / truth.size
    number = statistics.shape[1]
    start = np.array([*prior, 0.0])
    shrinkage = np.append(np.full(number, SHRINKAGE), 0.0)
    least = np.append(np.zeros(number), -np.inf)
    # The greatest curvature that the loss can have: steps of one over it never overshoot.
    curvature = np.linalg.eigvalsh((inputs * counts[:, None]).T @ inputs / 4)[-1] + SHRINKAGE
    weights = start
    for _ in range(ITERATIONS):
        errors = counts * (1 / (1 + np.exp(-inputs @ weights)) - truth)
        gradient = inputs.T @ errors + shrinkage * (weights - start)
        weights = np.maximum(weights - gradient / curvature, least)
    scaled = weights[:-1] / spread
    return scaled, float(weights[-1] - scaled @ center)


def is_better(
    more: Statistics,
    fewer: Statistics,
    defective: NDArray[np.bool_],
    prior: Sequence[float],
    groups: Sequence[int],
) -> bool:
    """True where statistics score images better than others do, by more than one standard error.

    By the log losses of the same images, each held out once of the fit, with its group; images of a group
    count as one draw. False with too few of either kind.
    more: [n, F + 1]; fewer: [n, F], the first of them; defective: [n]; prior: [F + 1]; groups: [n] numbers
    """
    if np.bincount(defective, minlength=2).min() < FOLDS:
        return False
    kept = usable_groups(defective, groups)
    fold = stratified_folds(defective, kept)
    of_fewer = held_out_losses(fewer, defective, prior[: fewer.shape[1]], fold)
    gain = of_fewer - held_out_losses(more, defective, prior, fold)
    gained, deviations = 0.0, np.zeros(len(gain))
    for kind in (defective, ~defective):
        number = len(np.unique(kept[kind]))
        gained += gain[kind].mean()
        deviations[kind] = (gain[kind] - gain[kind].mean()) / kind.sum() * np.sqrt(number / (number - 1))
    of_groups = np.bincount(np.unique(kept, return_inverse=True)[1], deviations)
    return gained > max(MIN_GAIN, float(np.linalg.norm(of_groups)))


def held_out_losses(
    statistics: Statistics, defective: NDArray[np.bool_], prior: Sequence[float], fold: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Log loss of each image by a score that was fitted to the other folds, [n]. fold: numbers, [n]"""
    losses = np.zeros(len(defective))
    for number in range(FOLDS):
        out = fold == number
        weights, bias = fit_logistic(statistics[~out], defective[~out], prior)
        logits = statistics[out] @ weights + bias
        losses[out] = np.logaddexp(0, np.where(defective[out], -logits, logits))
    return losses
