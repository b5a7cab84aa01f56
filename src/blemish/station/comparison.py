"""Comparison of two bundles on the same images: a paired table, exact McNemar, and the images that flip.

Source: McNemar 1947; the exact test is a binomial one on the pairs of which one bundle is right alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.evaluation.bounds import proportion_bound

MAX_FLIPS = 1000


@dataclass(frozen=True)
class Pair:
    """Verdicts of both bundles on an image. defective: as people say, None where nobody has said

    a_score, b_score: in [0, 1], None where the image could not be judged
    """

    image_id: str
    defective: bool | None
    a_verdict: str
    b_verdict: str
    a_score: float | None
    b_score: float | None


def compared(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Comparison as plain values. A verdict other than OK says that the part is defective.

    table: numbers of labelled images by who is right; p_value: two-sided, of both being equally often right
    """
    labelled = [pair for pair in pairs if pair.defective is not None]
    right = Counter((is_right(pair, pair.a_verdict), is_right(pair, pair.b_verdict)) for pair in labelled)
    only_a, only_b = right[True, False], right[False, True]
    flips = [pair for pair in pairs if passes(pair.a_verdict) != passes(pair.b_verdict)]
    return {
        "images": len(pairs),
        "labelled": len(labelled),
        "table": {
            "both_right": right[True, True],
            "only_a_right": only_a,
            "only_b_right": only_b,
            "both_wrong": right[False, False],
        },
        "p_value": mcnemar(only_a, only_b),
        "a": rates(labelled, {pair.image_id: pair.a_verdict for pair in labelled}),
        "b": rates(labelled, {pair.image_id: pair.b_verdict for pair in labelled}),
        "num_flips": len(flips),
        "flips": [flip(pair) for pair in flips[:MAX_FLIPS]],
    }


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p-value of the exact McNemar test. only_a, only_b: pairs that one alone has right"""
    n, smaller = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(smaller + 1))
    return min(1.0, 2 * tail / 2**n)


def rates(pairs: Sequence[Pair], verdicts: Mapping[str, str]) -> dict[str, Any]:
    """Escapes among defective images and overkill among good ones, with exact 95 % bounds."""
    passed = {True: 0, False: 0}
    count = {True: 0, False: 0}
    for pair in pairs:
        count[bool(pair.defective)] += 1
        passed[bool(pair.defective)] += passes(verdicts[pair.image_id])
    return {
        "escapes": proportion_bound(passed[True], count[True]).to_json(),
        "overkill": proportion_bound(count[False] - passed[False], count[False]).to_json(),
    }


def is_right(pair: Pair, verdict: str) -> bool:
    """True where a verdict agrees with what people say."""
    return passes(verdict) != pair.defective


def passes(verdict: str) -> bool:
    """True for the one verdict by which a part goes on."""
    return verdict == "OK"


def flip(pair: Pair) -> dict[str, Any]:
    """Image on which the two differ, as plain values. better: "a", "b", or None where nobody has said"""
    better = None
    if pair.defective is not None:
        better = "a" if is_right(pair, pair.a_verdict) else "b"
    return {
        "sha256": pair.image_id,
        "defective": pair.defective,
        "a": {"verdict": pair.a_verdict, "score": pair.a_score},
        "b": {"verdict": pair.b_verdict, "score": pair.b_score},
        "better": better,
    }
