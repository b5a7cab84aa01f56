"""Default rules of both thresholds, as sure as the validation images are many, and what they rest on.

**REVIEW, `balance<=x`.** That none of n defective validation images lies below a threshold leaves open that a
share u of all does: the exact upper bound, 26 % of 10, 1 % of 300. So the band goes on below the lowest of
them until about as large a share of the good validation images lies in it, and at most x: few images make it
wide, many narrow. It needs no distribution of the scores. Where both kinds overlap, it begins below the
lowest defective image as with `escape<=0`, whatever that sends to a person, unless it is every good image.

**NG of good images alone, `overkill<=x@95%`.** The lowest threshold of which the exact bound says that at
most the share x of the good images lies above. Fewer images than that takes, 149 for 2 %, cannot show it:
then it is the tolerance limit of a normal distribution of their logits, though not below the highest score.
Sources: Clopper & Pearson 1934; Wilks 1941; Natrella 1963, section 2-5 (the tolerance factor).
Letters: n images.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from blemish.evaluation.bounds import ERROR_SHARE, proportion_bound

Scores = NDArray[np.float64]
MIN_FITTED = 3  # images that a distribution is fitted to


def default_rules(*, any_defective: bool) -> tuple[str, str]:
    """Rules of the NG and the REVIEW threshold where none are set. any_defective: whether an image is"""
    return ("f1", "balance<=0.2") if any_defective else ("overkill<=0.02@95%", "balance<=0.1")


def balanced(thresholds: Scores, of_defective: Scores, of_clean: Scores, limit: float) -> float:
    """Lowest threshold with as small a share of good images in the band as defective ones may lie below.

    One good image may always lie in it, and one lies below. thresholds: [n] ascending, the last that of NG
    of_defective, of_clean: [n] scores; limit: the largest share of the good images, in [0, 1]
    """
    misses = np.searchsorted(np.sort(of_defective), thresholds)
    below = np.searchsorted(np.sort(of_clean), thresholds)
    inside = below[-1] - below
    possible = (inside <= max(1, math.floor(limit * len(of_clean) + 1e-9))) & (below >= min(1, below[-1]))
    for threshold, missed, held in zip(thresholds[possible], misses[possible], inside[possible], strict=True):
        unknown = proportion_bound(int(missed), len(of_defective)).upper95
        if held <= max(1, math.ceil(unknown * len(of_clean) - 1e-9)):
            return float(threshold)
    raise AssertionError("the last threshold leaves the band empty")


def note_on_band(review: float, of_defective: Scores, of_clean: Scores) -> tuple[str, ...]:
    """Sentence on a band that goes on below the lowest defective image, or cannot reach it; else nothing.

    review: the threshold; of_defective, of_clean: [n] scores
    """
    n, missed = len(of_defective), int((of_defective < review).sum())
    if missed:
        return (
            f"{missed} of {n} defective images {'lies' if missed == 1 else 'lie'} below the REVIEW band: one "
            "that holds them all would send every clean image to review.",
        )
    if not n or not ((of_clean >= review) & (of_clean < of_defective.min())).any():
        return ()
    return (
        f"The REVIEW band goes on below the lowest of {n} defective images: that none lies lower leaves up "
        f"to {100 * proportion_bound(0, n).upper95:.1f} % open. More images make it narrower.",
    )


def surely_above(scores: Scores, limit: float, highest: float) -> float:
    """Threshold above all scores [n] of good images, as low as is sure that at most a share lies above.

    limit: the share, in (0, 1); highest: it is not above this
    """
    lowest = float(np.nextafter(scores.max(), 2))
    if surely_allowed(limit, len(scores)) < 0:
        lowest = max(lowest, tolerance_limit(scores, limit))
    return min(lowest, highest)


def surely_allowed(limit: float, of: int) -> int:
    """Largest count of `of` images whose upper bound is at most the share `limit`; −1 where there is none."""
    return next((n - 1 for n in range(of + 1) if proportion_bound(n, of).upper95 > limit), of)


def tolerance_limit(scores: Scores, share: float) -> float:
    """Score above which, with 95 % confidence, lies at most a share of normal logits; 1 for too few scores.

    scores: [n] in [0, 1]; share: in (0, 1)
    """
    n, inside = len(scores), np.clip(scores, 1e-6, 1 - 1e-6)
    if n < MIN_FITTED:
        return 1.0
    logits = np.log(inside / (1 - inside))
    sure, rare = NormalDist().inv_cdf(1 - ERROR_SHARE), NormalDist().inv_cdf(1 - share)
    a, b = 1 - sure**2 / (2 * (n - 1)), rare**2 - sure**2 / n
    if a <= 0:
        return 1.0
    factor = (rare + math.sqrt(max(rare**2 - a * b, 0.0))) / a
    return float(1 / (1 + math.exp(-(logits.mean() + factor * logits.std(ddof=1)))))
