"""Default rules: the band against brute force, its width by the number of images, and what it saves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, nct, norm

from blemish.evaluation.operating_point import OperatingPoint, choose
from blemish.evaluation.review_band import default_rules, surely_allowed, tolerance_limit
from blemish.inspection import Verdict

Floats = NDArray[np.float64]
IMAGES = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=30).map(
    lambda pairs: [(score / 12, bad) for score, bad in pairs]
)


def upper95(n: int, of: int) -> float:
    return 1.0 if n == of else float(beta.ppf(0.95, n + 1, of - n))


def point_of(bad: Floats, good: Floats, **rules: str) -> OperatingPoint:
    truth = np.arange(len(bad) + len(good)) < len(bad)
    return choose(np.concatenate([bad, good]), truth, rules.pop("rule", "f1"), **rules)


@given(pairs=IMAGES, share=st.sampled_from([0.0, 0.1, 0.2, 0.5]))
@settings(deadline=None, max_examples=150)
def test_the_band_is_as_low_as_it_may_be(pairs: list[tuple[float, bool]], share: float) -> None:
    """By brute force over every threshold between the scores."""
    bad = np.array([score for score, is_bad in pairs if is_bad])
    good = np.array([score for score, is_bad in pairs if not is_bad])
    if not len(good):
        return
    point = point_of(bad, good, rule="overkill<=0.1", review_rule=f"balance<={share}")
    passing, unmissed = [0], []
    for threshold in [0.0, *((step + 0.5) / 12 for step in range(12))]:
        inside = int(((good >= threshold) & (good < point.threshold)).sum())
        missed, left = int((bad < threshold).sum()), bool((good < threshold).any())
        unknown = math.ceil(upper95(missed, len(bad)) * len(good) - 1e-9)
        if left and inside <= max(1, min(math.floor(share * len(good) + 1e-9), unknown)):
            passing.append(inside)
        if len(bad) and not missed and left:
            unmissed.append(inside)
    expected = max(*passing, min(unmissed, default=0))
    assert ((good >= point.review_threshold) & (good < point.threshold)).sum() == expected


@pytest.mark.parametrize("number", [1, 5, 10, 13, 14, 29, 59, 299, 3000])
def test_the_more_defective_images_the_narrower_the_band(number: int) -> None:
    """Both kinds apart; of n images without an escape the bound is 1 − 0.05^(1/n)."""
    good, bad = np.linspace(0.0, 0.4, 1001)[:-1], np.linspace(0.6, 0.9, number)
    point = point_of(bad, good)
    in_band = int((good >= point.review_threshold).sum())
    assert in_band == min(200, math.ceil(1000 * (1 - 0.05 ** (1 / number))))
    assert point.threshold == pytest.approx(0.5, abs=1e-3) and point.escapes.n == point.overkill.n == 0
    bound = f"{100 * (1 - 0.05 ** (1 / number)):.1f} %"
    assert point.notes[-1].startswith(
        f"The REVIEW band goes on below the lowest of {number} defective images"
    )
    assert bound in point.notes[-1]


def test_one_good_image_lies_in_the_band_however_few_there_are() -> None:
    point = point_of(np.array([0.8, 0.9]), np.array([0.1, 0.2, 0.3]))
    assert (point.review_threshold, point.threshold) == pytest.approx((0.25, 0.55))


@given(pairs=IMAGES)
@settings(deadline=None)
def test_nothing_passes_that_the_older_default_caught(pairs: list[tuple[float, bool]]) -> None:
    bad, good = (np.array([score for score, is_bad in pairs if is_bad is kind]) for kind in (True, False))
    if not len(bad):
        return
    old = point_of(bad, good, review_rule="escape<=0")
    new = point_of(bad, good)
    assert new.review_threshold <= old.review_threshold and new.threshold == old.threshold


def test_of_few_images_that_are_apart_far_fewer_escape_later() -> None:
    """Logits of good images around −3, of defective ones around 3 with a tail of weak ones; 8 and 20 of them.

    Over 200 draws, the share of defective images that pass, and of good ones that a person sees.
    """
    generator = np.random.default_rng(5)

    def defective(n: int) -> Floats:
        weak = generator.random(n) < 0.15
        return 1 / (1 + np.exp(-generator.normal(np.where(weak, -0.5, 3.0), 1.0)))

    def clean(n: int) -> Floats:
        return 1 / (1 + np.exp(-generator.normal(-3.0, 1.0, n)))

    later_bad, later_good = defective(20_000), clean(20_000)
    shares = []
    for _ in range(200):
        bad, good = defective(8), clean(20)
        points = [point_of(bad, good, review_rule=rule) for rule in ("escape<=0", "balance<=0.2")]
        passed = [float((later_bad < point.review_threshold).mean()) for point in points]
        seen = [
            float(((later_good >= point.review_threshold) & (later_good < point.threshold)).mean())
            for point in points
        ]
        shares.append((*passed, *seen))
    old_escapes, new_escapes, _, seen = np.mean(shares, axis=0)
    assert old_escapes > 0.04
    assert new_escapes < old_escapes / 5
    assert seen < 0.25


def test_the_bound_of_good_images_alone_holds() -> None:
    """At most 2 % of good images are NG in 95 % of draws; without the bound, in half of them."""
    generator = np.random.default_rng(7)

    def clean(n: int) -> Floats:
        return 1 / (1 + np.exp(-generator.normal(-2.0, 1.0, n)))

    later = clean(100_000)
    for number in (10, 100, 300):
        held = [
            [
                float((later >= point_of(np.zeros(0), good, rule=rule).threshold).mean()) <= 0.02
                for rule in ("overkill<=0.02@95%", "overkill<=0.02")
            ]
            for good in (clean(number) for _ in range(300))
        ]
        sure, counted = np.mean(held, axis=0)
        assert sure > 0.91, number
        assert number < 50 or counted < 0.7


@pytest.mark.parametrize(
    ("limit", "of"), [(0.02, 10), (0.02, 148), (0.02, 149), (0.02, 500), (0.1, 60), (0.3, 9)]
)
def test_the_count_that_is_surely_allowed_is_the_largest(limit: float, of: int) -> None:
    allowed = surely_allowed(limit, of)
    assert allowed == max((n for n in range(of + 1) if upper95(n, of) <= limit), default=-1)


@pytest.mark.parametrize("number", [10, 20, 50, 200])
def test_the_tolerance_limit_is_that_of_the_noncentral_t(number: int) -> None:
    logits = np.random.default_rng(number).normal(-1.0, 0.7, number)
    share = 0.02
    factor = nct.ppf(0.95, number - 1, norm.ppf(1 - share) * math.sqrt(number)) / math.sqrt(number)
    limit = tolerance_limit(1 / (1 + np.exp(-logits)), share)
    found = (math.log(limit / (1 - limit)) - logits.mean()) / logits.std(ddof=1)
    assert found == pytest.approx(factor, rel=0.03)
    assert tolerance_limit(np.array([0.1, 0.2]), share) == 1.0


def test_good_images_alone_have_a_band_from_the_first_few_on() -> None:
    ng, review = default_rules(any_defective=False)
    point = point_of(np.zeros(0), np.array([0.1, 0.2, 0.3, 0.4, 0.5]), rule=ng, review_rule=review)
    assert point.review_threshold == pytest.approx(0.45) and 0.5 < point.threshold <= 0.75
    assert [point.verdict(score) for score in (0.44, 0.46, 0.99)] == [Verdict.OK, Verdict.REVIEW, Verdict.NG]
