"""AUROC of cross-validation, and of the difference between two methods on the same folds, with intervals.

Scores of different folds come from different models and are not ranked against each other: the AUROC is the
mean over folds and repeats. Its variance is DeLong's over the test images, the models taken as they are: what
an image adds to the AUROC of its fold is averaged over the repeats, since these judge the same images again,
and near duplicates count as one draw.
Sources: DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44 (components of an AUROC); Obuchowski 1997,
Biometrics 53 (clusters). Letters: N images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.evaluation.auroc_interval import Z
from blemish.evaluation.fewshot import Interval
from blemish.ranks import average_ranks


@dataclass(frozen=True)
class FoldScores:
    """Scores of one repeat of cross-validation: each image judged by the model of its fold, all [N].

    folds: number of each image's fold; groups: number of its near duplicates' group, the same in every repeat
    """

    scores: ArrayLike
    defective: ArrayLike
    folds: ArrayLike
    groups: ArrayLike


def cross_validated_auroc(repeats: Sequence[FoldScores]) -> Interval:
    """AUROC, mean over folds and repeats, and its 95 % interval.

    repeats: of the same images in the same order
    Raises ValueError for a fold without images of both kinds.
    """
    return interval_of([components(repeat) for repeat in repeats], repeats[0])


def cross_validated_difference(ours: Sequence[FoldScores], theirs: Sequence[FoldScores]) -> Interval:
    """AUROC of ours less that of theirs, and its 95 % interval; what both find easy or hard cancels.

    ours, theirs: repeats of the same images, in the same order and folds
    Raises ValueError for a fold without images of both kinds.
    """
    pairs = [(components(own), components(other)) for own, other in zip(ours, theirs, strict=True)]
    return interval_of([(a - b, c - d) for (a, c), (b, d) in pairs], ours[0])


def components(repeat: FoldScores) -> tuple[float, NDArray[np.float64]]:
    """AUROC, the mean over folds, and how far each image moves it; the latter sum up to 0. [N]"""
    defective = np.asarray(repeat.defective, np.bool_)
    scores, folds = np.asarray(repeat.scores, np.float64), np.asarray(repeat.folds)
    influence = np.zeros(len(scores))
    areas = []
    for fold in np.unique(folds):
        bad, good = (np.flatnonzero((folds == fold) & (defective == kind)) for kind in (True, False))
        if not len(bad) or not len(good):
            raise ValueError(f"fold {fold} must hold normal and defective images")
        above = placements(scores[bad], scores[good])
        below = 1 - placements(scores[good], scores[bad])
        areas.append(float(above.mean()))
        influence[bad] = (above - areas[-1]) / len(bad)
        influence[good] = (below - areas[-1]) / len(good)
    return math.fsum(areas) / len(areas), influence / len(areas)


def placements(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the others that lie below each score, ties counting half. [n], [m] → [n]"""
    ranks = average_ranks(np.concatenate([scores, others]))[: len(scores)]
    own: NDArray[np.float64] = (ranks - average_ranks(scores)) / len(others)
    return own


def interval_of(parts: Sequence[tuple[float, NDArray[np.float64]]], images: FoldScores) -> Interval:
    """Mean over repeats, with the interval that the influence of the groups gives it."""
    mean = math.fsum(value for value, _ in parts) / len(parts)
    influence = np.mean([influence for _, influence in parts], axis=0)
    _, group = np.unique(np.asarray(images.groups), return_inverse=True)
    of_groups = np.bincount(group, weights=influence)
    half_width = Z * math.sqrt(float((of_groups**2).sum()))
    return Interval(mean, mean - half_width, mean + half_width, len(parts))
