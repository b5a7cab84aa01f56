"""Decisions in words, for the report and the command line."""

from __future__ import annotations

from collections.abc import Iterator

from blemish.bundle.store import sha256
from blemish.decision.decision import Decision
from blemish.decision.rules import MeasureRule, Thresholds, figure


def sentences(decision: Decision) -> tuple[str, ...]:
    """Sentences on a decision: its revision and origin, then one for each rule."""
    return (origin(decision), *rules_in_words(decision))


def origin(decision: Decision) -> str:
    """Sentence on a decision's revision and how its thresholds were chosen."""
    chosen = decision.chosen
    if chosen is None:
        return f"Revision {decision.revision} of the decision, written by hand."
    edited = " It has been edited by hand since, so its counts no longer hold."
    return (
        f"Revision {decision.revision} of the decision: thresholds chosen by {chosen.point.rule} (NG) and "
        f"{chosen.review_rule} (REVIEW) on {chosen.images} images of {chosen.data}, split {chosen.split}, "
        f"on {chosen.created}.{'' if is_as_chosen(decision) else edited}"
    )


def is_as_chosen(decision: Decision) -> bool:
    """True while all that decides is as it was when the thresholds were chosen and counted."""
    return decision.chosen is not None and decision.chosen.rules == rules_digest(decision)


def rules_digest(decision: Decision) -> str:
    """Twelve hexadecimal digits over all that may change a verdict or a grade."""
    deciding = {"mm_per_px", "score", "classes", "limits", "ignore", "grades"}
    return sha256(decision.model_dump_json(include=deciding).encode())[:12]


def thresholds_of(review: float, ng: float) -> Thresholds:
    """Thresholds of a decision; NG above 1 and a REVIEW that equals NG are left out."""
    return Thresholds(review=review if review < ng else None, ng=ng if ng <= 1 else None)


def rules_in_words(decision: Decision) -> Iterator[str]:
    """A sentence for each rule, such as "score: REVIEW from 0.3, NG from 0.6."."""
    yield levels("score", "", REVIEW=decision.score.review, NG=decision.score.ng)
    for name, thresholds in decision.classes.items():
        yield levels(f"{name}, confidence", "", REVIEW=thresholds.review, NG=thresholds.ng)
    for limit in decision.limits:
        yield levels(named(limit), limit.suffix, REVIEW=limit.review, NG=limit.ng)
    for minimum in decision.ignore:
        yield f"{named(minimum)}: ignored below {figure(minimum.below)}{minimum.suffix}."
    for grade in decision.grades:
        yield levels(named(grade), grade.suffix, rework=grade.rework, scrap=grade.scrap)


def levels(name: str, suffix: str, **thresholds: float | None) -> str:
    """Sentence on the thresholds of a rule, those that are None left out. suffix: unit behind a number"""
    parts = [
        f"{level} from {figure(value)}{suffix}" for level, value in thresholds.items() if value is not None
    ]
    return f"{name}: {', '.join(parts) or 'no threshold'}."


def named(rule: MeasureRule) -> str:
    return f"{rule.of or 'any defect'}, {rule.measure}"
