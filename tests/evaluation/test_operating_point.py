"""Rules against brute force over every threshold that separates the scores differently."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.bundle.manifest import StoredOperatingPoint
from blemish.errors import BlemishError
from blemish.evaluation.bounds import proportion_bound
from blemish.evaluation.operating_point import OperatingPoint, choose, measured, parse_rule
from blemish.inspection import Verdict

Counts = tuple[int, int, int, int]  # misses, hits, false alarms, correct passes

# Few different scores, so that ties are common; all of both kinds.
images = st.lists(
    st.tuples(st.integers(0, 8).map(lambda n: n / 8), st.booleans()), min_size=2, max_size=25
).filter(lambda pairs: len({bad for _, bad in pairs}) == 2)


def counts_at(pairs: list[tuple[float, bool]], threshold: float) -> Counts:
    misses = sum(bad and score < threshold for score, bad in pairs)
    hits = sum(bad and score >= threshold for score, bad in pairs)
    alarms = sum(not bad and score >= threshold for score, bad in pairs)
    return misses, hits, alarms, len(pairs) - misses - hits - alarms


def f1_loss(counts: Counts) -> float:
    misses, hits, alarms, _ = counts
    return -2 * hits / (2 * hits + misses + alarms)


def escape_loss(counts: Counts) -> float:
    misses, hits, alarms, _ = counts
    return alarms if 4 * misses <= misses + hits else float("inf")


def overkill_loss(counts: Counts) -> float:
    misses, _, alarms, passes = counts
    return misses if 4 * alarms <= alarms + passes else float("inf")


@pytest.mark.parametrize(
    ("rule", "loss"),
    [
        ("f1", f1_loss),
        ("escape<=0.25", escape_loss),
        ("overkill<=25%", overkill_loss),
        ("cost:escape=10,overkill=1", lambda counts: 10 * counts[0] + counts[2]),
    ],
)
@given(pairs=images)
@settings(deadline=None, max_examples=60)
def test_no_other_threshold_serves_the_rule_better(
    rule: str, loss: Callable[[Counts], float], pairs: list[tuple[float, bool]]
) -> None:
    point = choose([score for score, _ in pairs], [bad for _, bad in pairs], rule)
    chosen = counts_at(pairs, point.threshold)
    others = [counts_at(pairs, step / 16) for step in range(18)]
    best = min((loss(counts), counts[0], counts[2]) for counts in others)
    assert (loss(chosen), chosen[0], chosen[2]) == pytest.approx(best)


@given(pairs=images, rule=st.sampled_from(["f1", "escape<=0.1", "overkill<=0.1", "cost:escape=1,overkill=3"]))
@settings(deadline=None, max_examples=60)
def test_counts_are_those_of_the_verdicts(pairs: list[tuple[float, bool]], rule: str) -> None:
    point = choose([score for score, _ in pairs], [bad for _, bad in pairs], rule)
    verdicts = [(point.verdict(score), bad) for score, bad in pairs]
    bad_count = sum(bad for _, bad in pairs)
    assert point.review_threshold <= point.threshold
    assert point.escapes == proportion_bound(verdicts.count((Verdict.OK, True)), bad_count)
    assert point.overkill == proportion_bound(verdicts.count((Verdict.NG, False)), len(pairs) - bad_count)
    assert point.review.n == sum(verdict is Verdict.REVIEW for verdict, _ in verdicts)
    assert point.threshold not in [score for score, _ in pairs if score > 0]


@given(pairs=images)
@settings(deadline=None, max_examples=60)
def test_review_catches_every_defect_or_says_why_not(pairs: list[tuple[float, bool]]) -> None:
    point = choose([score for score, _ in pairs], [bad for _, bad in pairs], "overkill<=0.2")
    good = [score for score, bad in pairs if not bad]
    if point.escapes.n:
        assert min(score for score, bad in pairs if bad) <= min(good)
        assert "would send every clean image to review" in point.notes[-1]
        assert any(score < point.review_threshold for score in good) or len(good) == 1


def test_three_verdicts_by_hand() -> None:
    scores = [0.1, 0.2, 0.4, 0.3, 0.8, 0.9]
    defective = [False, False, False, True, True, True]
    point = choose(scores, defective, "overkill<=0", review_rule="escape<=0")
    assert (point.review_threshold, point.threshold) == pytest.approx((0.25, 0.6))
    assert [point.verdict(score) for score in scores] == ["OK", "OK", "REVIEW", "REVIEW", "NG", "NG"]
    assert point.verdict(point.threshold) is Verdict.NG
    assert point.verdict(point.review_threshold) is Verdict.REVIEW
    assert (point.escapes.n, point.overkill.n, point.review.n, point.review.of) == (0, 0, 2, 6)


def test_no_review_band_where_it_would_hold_every_clean_image() -> None:
    scores, defective = [0.0, 0.1, 0.2, 0.7, 0.8], [True, False, False, True, True]
    point = choose(scores, defective, "f1", review_rule="escape<=0")
    assert point.review_threshold == point.threshold == pytest.approx(0.45)
    assert (point.escapes.n, point.overkill.n, point.review.n) == (1, 0, 0)
    assert point.notes[-1].startswith(
        "No review band: one that catches the defective validation image below the threshold"
    )
    remaining = choose(scores, defective, "overkill<=0", review_rule="escape<=0.4")
    assert remaining.escapes.n == 1
    assert not any(note.startswith("No review band") for note in remaining.notes)


def test_threshold_stands_half_way_between_what_was_seen() -> None:
    assert choose([0.2, 0.6], [False, True], "f1").threshold == pytest.approx(0.4)
    low = 0.3
    high = float(
        np.nextafter(low, 1)
    )  # nothing lies between: the upper one must still be NG, the lower one not
    assert choose([low, high], [False, True], "f1").threshold == high


def test_scores_at_the_ends_of_the_range_can_be_separated() -> None:
    assert choose([0.0, 1.0], [True, False], "overkill<=0").overkill.n == 0
    assert choose([0.0, 1.0], [True, False], "escape<=0").escapes.n == 0


def test_max_iou_takes_the_sweeps_threshold() -> None:
    point = choose([0.1, 0.5], [False, True], "max-iou", iou_score=0.45)
    assert point.threshold == 0.45
    with pytest.raises(BlemishError, match=r"max-iou.*Received: none"):
        choose([0.1, 0.5], [False, True], "max-iou")


def test_too_few_images_give_a_bound_and_a_note() -> None:
    scores = np.concatenate((np.full(22, 0.9), np.full(100, 0.1)))
    point = choose(scores, np.arange(122) < 22, "escape<=0.01")
    assert point.escapes.sentence() == "0 of 22 missed (true rate at most 12.7 %)"
    assert point.notes == (
        "0 of 22 escaped (true rate at most 12.7 %). "
        "To prove 1 % takes at least 299 such images without a single one escaped.",
    )


def test_without_clean_images_the_threshold_lies_under_every_defective_one() -> None:
    for rule in ("f1", "escape<=0.5", "overkill<=0.1", "cost:escape=1,overkill=9"):
        point = choose([0.4, 0.6], [True, True], rule)
        assert point.threshold == pytest.approx(0.2)
        assert point.overkill.upper95 == 1.0
        assert "No clean image: nothing is known about overkill." in point.notes


def test_without_defective_images_the_lowest_threshold_is_taken_that_rejects_no_more_than_allowed() -> None:
    scores = np.arange(20) / 40
    point = choose(scores, np.zeros(20, bool), "overkill<=0.1", review_rule="overkill<=0.25")
    assert (point.threshold, point.review_threshold) == pytest.approx((17.5 / 40, 14.5 / 40))
    assert (point.overkill.n, point.review.n) == (2, 3)
    assert not any("No review band" in note for note in point.notes)


def test_without_defective_images_only_overkill_can_be_limited() -> None:
    point = choose([0.2, 0.4], [False, False], "overkill<=0", review_rule="escape<=0")
    assert point.threshold == point.review_threshold == pytest.approx(0.7)
    assert "No defective image: nothing is known about escapes." in point.notes
    for rule in ("f1", "escape<=0", "cost:escape=2,overkill=1"):
        with pytest.raises(BlemishError, match=r"needs defective validation images\. Received: 0 of 2"):
            choose([0.2, 0.4], [False, False], rule)


@pytest.mark.parametrize(
    "text",
    [
        *("", "f2", "escape<0.1", "escape<=1.5", "overkill<=-0.1", "cost:escape=1"),
        *(
            "cost:escape=0,overkill=0",
            "balance<=0.2",
            "escape<=0.01@95%",
            "overkill<=1@95%",
            "overkill<=0.1@99%",
        ),
    ],
)
def test_an_unknown_rule_lists_the_rules(text: str) -> None:
    with pytest.raises(
        BlemishError,
        match=r"f1, max-iou, escape<=0.01, overkill<=0.02, overkill<=0.02@95%, cost:",
    ) as error:
        parse_rule(text)
    assert f"Received: '{text}'" in str(error.value)
    assert "\n" not in str(error.value)


def test_rules_are_read_as_written() -> None:
    assert parse_rule(" Escape <= 1 % ").limit == pytest.approx(0.01)
    assert parse_rule("overkill<=1e-3").limit == pytest.approx(0.001)
    balance = parse_rule("balance<=20%", review=True)
    assert (balance.kind, balance.limit) == ("balance", 0.2)
    sure, plain = parse_rule("overkill <= 2 % @95%"), parse_rule("overkill<=2%")
    assert (sure.limit, sure.sure, plain.limit, plain.sure) == (0.02, True, 0.02, False)
    cost = parse_rule("cost: escape=100, overkill=.5")
    assert (cost.escape_cost, cost.overkill_cost) == (100.0, 0.5)


@pytest.mark.parametrize("scores", [[], [0.1, float("nan")], [0.5, 1.5]])
def test_scores_are_checked(scores: list[float]) -> None:
    with pytest.raises(BlemishError, match="Received: "):
        choose(scores, [True] * len(scores), "f1")


def test_measured_on_other_images_leaves_errors_out() -> None:
    point = choose([0.1, 0.9], [False, True], "f1")
    verdicts = [Verdict.OK, Verdict.ERROR, Verdict.NG, Verdict.REVIEW, Verdict.ERROR]
    counted = measured(point, verdicts, [True, True, False, False, False])
    assert (counted.threshold, counted.review_threshold) == (point.threshold, point.review_threshold)
    assert [(each.n, each.of) for each in (counted.escapes, counted.overkill, counted.review)] == [
        (1, 1),
        (1, 2),
        (1, 3),
    ]


def test_a_manifest_holds_every_operating_point_as_it_is() -> None:
    point = choose([0.1, 0.4, 0.3, 0.9], [False, False, True, True], "overkill<=0")
    text = json.dumps(point.to_json(), allow_nan=False)
    assert OperatingPoint.from_json(StoredOperatingPoint.model_validate_json(text)) == point
    assert OperatingPoint.from_json(None) is None
    assert set(json.loads(text)) >= {"rule", "threshold", "review_threshold", "escapes", "overkill", "review"}
