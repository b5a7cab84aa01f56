"""Exact (Clopper–Pearson) bounds on the rate behind a count.

Each bound alone holds with 95 % confidence (one-sided), as a line asks a single question at a time: how many
escape at most? 0 of 22 then means "up to 12.7 %"; both bounds together are a 90 % interval.
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
    """Count n of `of` trials, and the one-sided 95 % bounds of the share behind it, each in [0, 1]."""

    n: int
    of: int
    lower95: float
    upper95: float

    @property
    def share(self) -> float | None:
        """Observed share in [0, 1]; None without a trial."""
        return self.n / self.of if self.of else None

    def sentence(self, happened: str = "missed") -> str:
        """Count and upper bound in words: "0 of 22 missed (true rate at most 12.7 %)"; no full stop."""
        if self.of == 0:
            return f"0 of 0 {happened} (nothing is known)"
        return f"{self.n} of {self.of} {happened} (true rate at most {100 * self.upper95:.1f} %)"

    def to_json(self) -> dict[str, Any]:
        return {"n": self.n, "of": self.of, "lower95": self.lower95, "upper95": self.upper95}

    @classmethod
    def from_json(cls, stored: StoredShare) -> ProportionBound:
        """Bound that a manifest holds."""
        return cls(stored.n, stored.of, stored.lower95, stored.upper95)


def proportion_bound(n: int, of: int) -> ProportionBound:
    """Exact one-sided 95 % bounds on a share of which n in `of` trials was seen; 0 and 1 without a trial."""
    assert 0 <= n <= of, f"n must be in [0, {of}]. Received: {n}."
    lower = beta_quantile(ERROR_SHARE, n, of - n + 1) if n > 0 else 0.0
    upper = beta_quantile(1 - ERROR_SHARE, n + 1, of - n) if n < of else 1.0
    return ProportionBound(n, of, lower, upper)


def trials_to_prove(share: float) -> int:
    """Smallest number of trials without an event that puts the upper bound at or below `share`, in (0, 1)."""
    return math.ceil(math.log(ERROR_SHARE) / math.log1p(-share))
