"""Consistency of answers: verdicts that should not change, severity that should rise with contrast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.inspection import Verdict
from blemish.ranks import average_ranks


def verdict_flips(reference: Sequence[Verdict], perturbed: Sequence[Verdict]) -> ProportionBound:
    """Number of images whose verdict changes when they are shifted, re-lit or noisy, with bounds.

    reference, perturbed: verdicts of the same images in the same order; any change counts, to ERROR too
    """
    flips = sum(before != after for before, after in zip(reference, perturbed, strict=True))
    return proportion_bound(flips, len(reference))


def contrast_metrics(contrasts: Sequence[float], severities: Sequence[float]) -> dict[str, Any]:
    """The "severity" part of metrics.json, of defects that were found and whose true contrast is known.

    contrasts: signed gray levels; a dark and a light defect of equal strength are equally severe
    severities: mean severity of the defect that was found there
    """
    return {"spearman": spearman(np.abs(contrasts), severities), "defects": len(contrasts)}


def spearman(first: ArrayLike, second: ArrayLike) -> float | None:
    """Rank correlation in [−1, 1] of two lists [n], ties at their average rank.

    None for fewer than 3 pairs or constant values.
    """
    ranks, others = average_ranks(first), average_ranks(second)
    if len(ranks) < 3 or np.ptp(ranks) == 0 or np.ptp(others) == 0:
        return None
    return float(np.corrcoef(ranks, others)[0, 1])
