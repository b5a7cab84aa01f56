"""Verdicts of a decision on scores and defects: every kind of rule by hand, and worse is never better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from blemish.decision.decision import FROM_BAD_TO_GOOD, Decision, Judged
from blemish.decision.rules import figure
from blemish.defect import Defect, Rectangle
from blemish.inspection import Verdict


def defect(
    label: str = "crack",
    *,
    length: float = 40.0,
    width: float = 4.0,
    area: float = 100.0,
    confidence: float = 0.5,
    severity: float | None = 5.0,
    mm_per_px: float | None = 0.1,
) -> Defect:
    rectangle = Rectangle((0.0, 0.0), length, width, 0.0)
    box = (0.0, 0.0, length, width)
    return Defect(label, confidence, box, (), rectangle, area, severity, severity, mm_per_px)


UNMET = "1 finding is no defect: no rule is met by it"


def decision(**rules: Any) -> Decision:
    return Decision.model_validate({"revision": 1, "bundle": "b", "score": {}, **rules})


def judged(rules: dict[str, Any], *defects: Defect, score: float = 0.2) -> tuple[str, tuple[str, ...]]:
    answer = decision(**rules).judge(score, defects)
    return str(answer.verdict), answer.reasons


@pytest.mark.parametrize(
    ("score", "verdict", "reasons"),
    [
        (0.2999, "OK", ()),
        (0.3, "REVIEW", ("score 0.3 ≥ 0.3",)),
        (0.5999, "REVIEW", ("score 0.5999 ≥ 0.3",)),
        (0.6, "NG", ("score 0.6 ≥ 0.6",)),
    ],
)
def test_thresholds_on_the_score(score: float, verdict: str, reasons: tuple[str, ...]) -> None:
    assert judged({"score": {"review": 0.3, "ng": 0.6}}, score=score) == (verdict, reasons)


def test_no_value_is_enough_for_a_threshold_that_is_not_set() -> None:
    assert judged({"score": {}}, score=1.0) == ("OK", ())
    assert judged({"score": {"review": 0.5}}, score=1.0)[0] == "REVIEW"


@pytest.mark.parametrize(
    ("rules", "one", "verdict", "reason"),
    [
        ({"measure": "length", "unit": "mm", "ng": 3}, {"length": 32}, "NG", "crack 3.2 mm long ≥ 3 mm"),
        ({"measure": "length", "unit": "mm", "ng": 3}, {"length": 29.9}, "OK", None),
        ({"measure": "length", "unit": "px", "review": 30}, {"length": 32}, "REVIEW", "32 px long ≥ 30 px"),
        ({"measure": "width", "unit": "mm", "ng": 0.4}, {"width": 4}, "NG", "crack 0.4 mm wide ≥ 0.4 mm"),
        ({"measure": "area", "unit": "mm", "ng": 1}, {"area": 100}, "NG", "crack 1 mm² large ≥ 1 mm²"),
        ({"measure": "area", "unit": "px", "ng": 101}, {"area": 100}, "OK", None),
        ({"measure": "severity", "review": 2, "ng": 8}, {"severity": 8.25}, "NG", "severity 8.25 ≥ 8"),
        ({"measure": "severity", "review": 2, "ng": 8}, {"severity": 7.9}, "REVIEW", "severity 7.9 ≥ 2"),
        ({"measure": "length", "unit": "px", "of": "pit", "ng": 3}, {"length": 32}, "OK", None),
        ({"measure": "length", "unit": "px", "of": "crack", "ng": 3}, {"length": 32}, "NG", "≥ 3 px"),
    ],
)
def test_limits(rules: dict[str, Any], one: dict[str, float], verdict: str, reason: str | None) -> None:
    found, reasons = judged({"limits": [rules]}, defect(**one))
    assert found == verdict
    assert len(reasons) == 1 and reasons[0].endswith(reason or "1 finding is no defect: no rule is met by it")


def test_thresholds_of_a_class_are_on_its_own_confidence() -> None:
    rules = {"classes": {"crack": {"review": 0.4, "ng": 0.8}}}
    assert judged(rules, defect(confidence=0.9)) == ("NG", ("crack confidence 0.9 ≥ 0.8",))
    assert judged(rules, defect(confidence=0.5)) == ("REVIEW", ("crack confidence 0.5 ≥ 0.4",))
    assert judged(rules, defect("pit", confidence=0.99)) == ("OK", (UNMET,))


def test_a_reason_names_the_greatest_and_counts_the_others() -> None:
    rules = {"limits": [{"measure": "length", "unit": "mm", "ng": 3}]}
    three = [defect("pit", length=31), defect(length=50), defect(length=10), defect(length=30)]
    assert judged(rules, *three)[1] == ("crack 5 mm long ≥ 3 mm (and 2 more)", UNMET)


def test_the_worst_rule_decides_and_is_named_first() -> None:
    rules = {
        "score": {"review": 0.1},
        "limits": [
            {"measure": "width", "unit": "px", "review": 1},
            {"measure": "length", "unit": "px", "ng": 9},
        ],
    }
    verdict, reasons = judged(rules, defect())
    assert verdict == "NG"
    assert reasons[0] == "crack 40 px long ≥ 9 px" and len(reasons) == 3


def test_grades_say_what_to_do_and_send_to_a_person_at_least() -> None:
    rules = {"grades": [{"measure": "length", "unit": "mm", "rework": 1, "scrap": 4}]}
    by_length = {
        length: decision(**rules).judge(0.0, [defect(length=length)]) for length in (9.0, 10.0, 40.0)
    }
    found = {length: (answer.grade, str(answer.verdict)) for length, answer in by_length.items()}
    assert found == {9.0: ("accept", "OK"), 10.0: ("rework", "REVIEW"), 40.0: ("scrap", "REVIEW")}
    assert by_length[40.0].reasons == ("crack 4 mm long ≥ 4 mm: scrap",)
    assert decision().judge(1.0, [defect()]).grade is None, "nothing is graded"


def test_a_part_that_is_not_ok_by_anything_but_the_grades_has_none() -> None:
    rules = decision(
        score={"review": 0.3, "ng": 0.6}, grades=[{"measure": "length", "unit": "mm", "rework": 1}]
    )
    small, large = defect(length=9.0), defect(length=10.0)
    found = {
        (score, one.rectangle.length): (str(answer.verdict), answer.grade)
        for score in (0.1, 0.4, 0.9)
        for one in (small, large)
        for answer in [rules.judge(score, [one])]
    }
    assert found == {
        (0.1, 9.0): ("OK", "accept"),
        (0.1, 10.0): ("REVIEW", "rework"),
        (0.4, 9.0): ("REVIEW", None),
        (0.4, 10.0): ("REVIEW", "rework"),
        (0.9, 9.0): ("NG", None),
        (0.9, 10.0): ("NG", "rework"),
    }


def test_findings_of_a_score_under_the_limit_are_no_defects_unless_they_meet_a_rule() -> None:
    rules = decision(
        score={"review": 0.3, "ng": 0.6},
        limits=[{"measure": "length", "unit": "px", "of": "crack", "ng": 50}],
    )
    found = [defect("pit"), defect(length=50), defect(length=49), defect("pit", length=99)]
    under = rules.judge(0.2999, found)
    assert (str(under.verdict), under.listed, under.under_limit) == ("NG", (1,), (0, 2, 3))
    assert under.reasons == ("crack 50 px long ≥ 50 px", "3 findings are no defects: score 0.2999 < 0.3")
    reached = rules.judge(0.3, found)
    assert (reached.listed, reached.under_limit) == ((0, 1, 2, 3), ())
    passed = rules.judge(0.2999, [found[0]])
    assert (str(passed.verdict), passed.listed, passed.under_limit) == ("OK", (), (0,))
    assert rules.judge(0.1, found, limited=False).listed == (0, 1, 2, 3)


def test_small_defects_are_ignored_and_that_is_said() -> None:
    rules = decision(
        ignore=[{"measure": "length", "unit": "mm", "below": 0.5}],
        limits=[{"measure": "width", "unit": "px", "ng": 1}],
    )
    small, large = defect(length=4.9), defect(length=5.0)
    both = rules.judge(0.2, [small, large])
    assert both.listed == (1,)
    assert both.reasons == ("crack 4 px wide ≥ 1 px", "1 defect below the minimum size ignored")
    none = rules.judge(0.2, [small, small])
    assert (none.verdict, none.listed, none.under_limit) == (Verdict.OK, (), ())
    assert none.reasons == ("2 defects below the minimum size ignored",)


def test_a_score_that_rests_on_ignored_defects_counts_as_one_without_defects() -> None:
    rules = decision(score={"ng": 0.6}, ignore=[{"measure": "length", "unit": "px", "below": 50}])
    alone = rules.judge(0.9, [defect()], without_defects=0.4)
    assert (alone.verdict, alone.score) == (Verdict.OK, 0.4)
    beside = rules.judge(0.9, [defect(), defect(length=60)], without_defects=0.4)
    assert (beside.verdict, beside.score) == (Verdict.NG, 0.9)
    assert rules.judge(0.9, [], without_defects=0.4).verdict is Verdict.NG, "no defect was ignored"
    assert rules.judge(0.9, [defect()]).verdict is Verdict.NG, "a score of the whole image stands"


def test_a_defect_that_lacks_the_measure_goes_to_a_person() -> None:
    rules = {"limits": [{"measure": "severity", "ng": 3}]}
    assert judged(rules, defect(severity=None)) == (
        "REVIEW",
        ("crack could not be measured as a rule requires",),
    )
    assert judged(rules, defect(severity=None), defect("pit", severity=4))[0] == "NG"
    in_mm = decision(ignore=[{"measure": "length", "unit": "mm", "below": 99}])
    assert in_mm.judge(0.0, [defect(mm_per_px=None)]).under_limit == (0,), (
        "what cannot be measured is not ignored"
    )


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"score": {"review": 0.7, "ng": 0.5}}, "review must not be above ng. Received: review 0.7, ng 0.5"),
        ({"classes": {"pit": {"review": 1, "ng": 0}}}, "review must not be above ng"),
        ({"limits": [{"measure": "severity", "review": 3, "ng": 2}]}, "review must not be above ng"),
        ({"limits": [{"measure": "severity"}]}, "review or ng must be given"),
        ({"limits": [{"measure": "length", "ng": 2}]}, "length must have the unit px or mm. Received: none"),
        ({"limits": [{"measure": "severity", "unit": "mm", "ng": 2}]}, "severity must have no unit"),
        ({"grades": [{"measure": "severity", "rework": 3, "scrap": 2}]}, "rework must not be above scrap"),
        ({"score": {"ng": 1.1}}, "less than or equal to 1"),
        ({"score": {"ng": float("nan")}}, "finite"),
        ({"ignore": [{"measure": "area", "unit": "px", "below": 0}]}, "greater than 0"),
        ({"mm_per_px": float("inf")}, "finite"),
        ({"mm_per_px": 0}, "greater than 0"),
        ({"costs": {"escape": -1, "overkill": 1}}, "greater than or equal to 0"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        decision(**rules)


# Worse is never better


def number(most: float) -> st.SearchStrategy[float]:
    return st.floats(0.01, most)


def pair_of(low: str, high: str, most: float) -> st.SearchStrategy[dict[str, float]]:
    ordered = st.tuples(number(most), number(most)).map(sorted)
    return ordered.map(lambda two: {low: two[0], high: two[1]})


MEASURES = st.sampled_from(
    [{"measure": "severity"}]
    + [{"measure": name, "unit": unit} for name in ("area", "length", "width") for unit in ("px", "mm")]
)
NAMES = st.sampled_from([{}, {"of": "crack"}, {"of": "pit"}])


def rule(values: st.SearchStrategy[dict[str, float]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(MEASURES, NAMES, values).map(lambda parts: {**parts[0], **parts[1], **parts[2]})


DECISIONS = st.fixed_dictionaries(
    {
        "score": pair_of("review", "ng", 1.0),
        "classes": st.dictionaries(st.sampled_from(["crack", "pit"]), pair_of("review", "ng", 1.0)),
        "limits": st.lists(rule(pair_of("review", "ng", 50)), max_size=3),
        "grades": st.lists(rule(pair_of("rework", "scrap", 50)), min_size=1, max_size=3),
        "ignore": st.lists(
            rule(number(30).map(lambda below: {"below": below})).filter(
                lambda one: one["measure"] != "severity"
            ),
            max_size=2,
        ),
    }
).map(lambda rules: decision(**rules))
DEFECTS = st.lists(
    st.builds(
        defect,
        st.sampled_from(["crack", "pit"]),
        length=number(60),
        width=number(60),
        area=number(60),
        confidence=st.floats(0, 1),
        severity=number(12),
        mm_per_px=st.just(0.5),
    ),
    max_size=4,
)


def badness(answer: Judged) -> tuple[int, int]:
    """Higher is worse; a part without a grade, which a person is to give, lies between accept and rework."""
    return -FROM_BAD_TO_GOOD.index(answer.verdict), -("scrap", "rework", None, "accept").index(answer.grade)


def no_better(before: Judged, after: Judged) -> bool:
    return all(new >= old for old, new in zip(badness(before), badness(after), strict=True))


@given(DECISIONS, DEFECTS, number(1.0), number(1.0), number(1.0))
def test_a_greater_score_never_makes_it_better(
    rules: Decision, defects: list[Defect], one: float, other: float, cap: float
) -> None:
    low, high = sorted((one, other))
    before, after = (rules.judge(score, defects, without_defects=cap) for score in (low, high))
    assert no_better(before, after)


@given(DECISIONS, DEFECTS, number(1.0), number(1.0), st.data())
def test_a_greater_defect_never_makes_it_better(
    rules: Decision, defects: list[Defect], score: float, cap: float, data: st.DataObject
) -> None:
    before = rules.judge(score, defects, without_defects=cap)
    grown = [grow(each, data.draw(number(3.0)), data.draw(st.integers(0, 4))) for each in defects]
    assert no_better(before, rules.judge(score, grown, without_defects=cap))


def grow(one: Defect, by: float, what: int) -> Defect:
    sides = one.rectangle
    return (
        replace(one, rectangle=replace(sides, length=sides.length + by)),
        replace(one, rectangle=replace(sides, width=sides.width + by)),
        replace(one, area=one.area + by),
        replace(one, confidence=min(1.0, one.confidence + by)),
        replace(one, severity_max=(one.severity_max or 0) + by),
    )[what]


@given(DECISIONS, DEFECTS, number(1.0), number(1.0))
def test_one_defect_more_never_makes_it_better(
    rules: Decision, defects: list[Defect], score: float, cap: float
) -> None:
    """Where nothing was found the score lies at most at the cap, as the methods hold it."""
    fewer = rules.judge(score if defects[1:] else min(score, cap), defects[1:], without_defects=cap)
    assert no_better(fewer, rules.judge(score, defects, without_defects=cap))


@given(DECISIONS, DEFECTS, number(1.0), number(1.0))
def test_an_image_that_is_ok_lists_nothing_and_the_limit_changes_no_verdict(
    rules: Decision, defects: list[Defect], score: float, cap: float
) -> None:
    answer = rules.judge(score, defects, without_defects=cap)
    every = rules.judge(score, defects, without_defects=cap, limited=False)
    assert answer.verdict is every.verdict and answer.grade == every.grade
    assert sorted((*answer.listed, *answer.under_limit)) == list(every.listed)
    assert answer.verdict is not Verdict.OK or not answer.listed
    single = [rules.judge(0.0, [defects[index]]).verdict for index in answer.under_limit]
    assert all(verdict is Verdict.OK for verdict in single), "each meets no rule of its own"
    assert not answer.under_limit or answer.score < (rules.score.review or 0)


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_texts_of_numbers_are_in_the_numbers_order(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert float(figure(low)) <= float(figure(high))
    assert float(figure(low)) == pytest.approx(low, rel=6e-4)
    assert "e" not in figure(high)
