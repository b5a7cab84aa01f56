"""What a count proves about the rate behind it: exact (Clopper–Pearson) bounds, told as counts.

Each bound holds alone with 95 % confidence (one-sided), because a line asks one thing at a time: at most
how many escape? 0 of 22 then means "up to 12.7 %"; both bounds together are a 90 % interval.
Source: Clopper & Pearson 1934, by the quantiles of the beta distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from blemish.bundle.manifest import StoredShare
from blemish.evaluation.beta import beta_quantile

ERROR_SHARE = 0.05


@dataclass(frozen=True)
class ProportionBound:
    """n of `of` trials, and the one-sided 95 % bounds of the share behind them, each in [0, 1]."""

    n: int
    of: int
    lower95: float
    upper95: float

    @property
    def share(self) -> float | None:
        """The observed share; None when nothing was tried."""
        return self.n / self.of if self.of else None

    def sentence(self, happened: str = "missed") -> str:
        """The count and its upper bound, as "0 of 22 missed: up to 12.7 % may be"."""
        if self.of == 0:
            return f"0 of 0 {happened}: nothing is known"
        return f"{self.n} of {self.of} {happened}: up to {100 * self.upper95:.1f} % may be"

    def to_json(self) -> dict[str, Any]:
        return {"n": self.n, "of": self.of, "lower95": self.lower95, "upper95": self.upper95}

    @classmethod
    def from_json(cls, stored: StoredShare) -> ProportionBound:
        """The bound that a manifest holds."""
        return cls(stored.n, stored.of, stored.lower95, stored.upper95)


def proportion_bound(n: int, of: int) -> ProportionBound:
    """Exact one-sided 95 % bounds on a share of which n in `of` was seen; of no trials at all, 0 and 1."""
    assert 0 <= n <= of, f"n must be in [0, {of}]. Received: {n}."
    lower = beta_quantile(ERROR_SHARE, n, of - n + 1) if n > 0 else 0.0
    upper = beta_quantile(1 - ERROR_SHARE, n + 1, of - n) if n < of else 1.0
    return ProportionBound(n, of, lower, upper)


def trials_to_prove(share: float) -> int:
    """How many trials without a single event put the upper bound at or under `share`, in (0, 1)."""
    return math.ceil(math.log(ERROR_SHARE) / math.log1p(-share))
