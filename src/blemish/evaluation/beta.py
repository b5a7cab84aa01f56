"""Beta distribution: cumulative shares and quantiles, for exact bounds and intervals.

Written out because SciPy, which has them, is twice as large as all else that such a bound needs on a line PC.
Source: Press et al., Numerical Recipes, 3rd edition, section 6.4: a continued fraction, by Lentz's method.
"""

from __future__ import annotations

import math
from itertools import count

PRECISION = 1e-15  # relative, of a fraction and of a quantile
TINY = 1e-300  # in place of 0 in Lentz's method


def beta_share(x: float, a: float, b: float) -> float:
    """Share of the beta distribution (a, b > 0) below x in [0, 1], in [0, 1]."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side alone
        return 1 - tail(1 - x, b, a)
    return tail(x, a, b)


def beta_quantile(share: float, a: float, b: float) -> float:
    """Quantile of the beta distribution (a, b > 0), in (0, 1). share: in (0, 1)

    By Newton's steps, and by halving where a step leaves the interval known to hold the answer.
    """
    if a == 1:
        return -math.expm1(math.log1p(-share) / b)
    if b == 1:
        return math.exp(math.log(share) / a)
    low, high, x = 0.0, 1.0, a / (a + b)
    while True:
        excess = beta_share(x, a, b) - share
        low, high = (low, x) if excess > 0 else (x, high)
        height = math.exp(log_height(x, a, b))
        following = x - excess * x * (1 - x) / height if height else low
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= PRECISION * x or following in (low, high):
            return following
        x = following


def student_quantile(share: float, freedom: int) -> float:
    """Quantile of Student's t distribution. share: in (0.5, 1); freedom: degrees of freedom, at least 1"""
    x = beta_quantile(2 * (1 - share), freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - x) / x)


def tail(x: float, a: float, b: float) -> float:
    """Share below x, for x on the side of the mean where the continued fraction converges fast."""
    return math.exp(log_height(x, a, b)) / (a * continued_fraction(x, a, b))


def log_height(x: float, a: float, b: float) -> float:
    """Logarithm of the density at x, times x·(1 − x)."""
    constant = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return constant + a * math.log(x) + b * math.log1p(-x)


def continued_fraction(x: float, a: float, b: float) -> float:
    """Value of 1 + d₁/(1 + d₂/(1 + …)) to `PRECISION`; it takes about √max(a, b) terms."""
    value, numerator, denominator = 1.0, 1.0, 0.0
    for term in count(1):
        m = term // 2
        if term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1 / (1 + d * denominator or TINY)
        numerator = 1 + d / numerator or TINY
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < PRECISION:
            break
    return value
