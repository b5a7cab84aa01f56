"""Does the answer stay the same when it should, and does severity rise with what is really there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.inspection import Verdict
from blemish.ranks import average_ranks


def verdict_flips(reference: Sequence[Verdict], perturbed: Sequence[Verdict]) -> ProportionBound:
    """How many images change their verdict when they are shifted, re-lit or noisy, with bounds.

    reference, perturbed: verdicts of the same images in the same order; any change counts, ERROR too
    """
    flips = sum(one != other for one, other in zip(reference, perturbed, strict=True))
    return proportion_bound(flips, len(reference))


def contrast_metrics(contrasts: Sequence[float], severities: Sequence[float]) -> dict[str, Any]:
    """The "severity" part of metrics.json, of defects that were found and whose true contrast is known.

    contrasts: signed gray levels; a dark and a light defect of equal strength are equally severe
    severities: mean severity of the defect that was found there
    """
    return {"spearman": spearman(np.abs(contrasts), severities), "defects": len(contrasts)}


def spearman(one: ArrayLike, other: ArrayLike) -> float | None:
    """Rank correlation in [−1, 1], ties at their average rank; None for under 3 pairs or constant values."""
    first, second = average_ranks(one), average_ranks(other)
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])
