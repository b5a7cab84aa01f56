"""A decision in words, for the report and the command line."""

from __future__ import annotations

from collections.abc import Iterator

from blemish.bundle.store import sha256
from blemish.decision.decision import Decision
from blemish.decision.rules import Grade, Limit, MeasureRule, Thresholds, figure


def sentences(decision: Decision) -> tuple[str, ...]:
    """Which revision, how it was chosen, and every rule, a sentence each."""
    return (origin(decision), *rules_in_words(decision))


def origin(decision: Decision) -> str:
    chosen = decision.chosen
    if chosen is None:
        return f"Revision {decision.revision} of the decision, written by hand."
    by_hand = "" if is_as_chosen(decision) else " It was changed by hand since, so its counts no longer hold."
    return (
        f"Revision {decision.revision} of the decision: thresholds chosen by {chosen.point.rule} (NG) and "
        f"{chosen.review_rule} (REVIEW) on {chosen.images} images of {chosen.data}, split {chosen.split}, "
        f"{chosen.created}.{by_hand}"
    )


def is_as_chosen(decision: Decision) -> bool:
    """Whether the decision is still what was counted when its thresholds were chosen, limits and all."""
    return decision.chosen is not None and decision.chosen.rules == rules_digest(decision)


def rules_digest(decision: Decision) -> str:
    """Twelve digits that change with whatever may change a verdict or a grade."""
    deciding = {"mm_per_px", "score", "classes", "limits", "ignore", "grades"}
    return sha256(decision.model_dump_json(include=deciding).encode())[:12]


def thresholds_of(review: float, ng: float) -> Thresholds:
    """As a decision has them: one that no score reaches, or that is no other than the harder, is left out."""
    return Thresholds(review=review if review < ng else None, ng=ng if ng <= 1 else None)


def rules_in_words(decision: Decision) -> Iterator[str]:
    yield f"{levels('score', decision.score)}."
    for name, thresholds in decision.classes.items():
        yield f"{levels(f'{name}, by its confidence', thresholds)}."
    for rule in decision.limits:
        yield f"{named(rule)}: {limit_in_words(rule)}."
    for minimum in decision.ignore:
        yield f"{named(minimum)}: below {amount(minimum, minimum.below)} it is ignored."
    for grade in decision.grades:
        yield f"{named(grade)}: {grade_in_words(grade)}."


def levels(name: str, thresholds: Thresholds) -> str:
    """ "score: REVIEW from 0.3, NG from 0.6" """
    pairs = (("REVIEW", thresholds.review), ("NG", thresholds.ng))
    said = [f"{verdict} from {figure(value)}" for verdict, value in pairs if value is not None]
    return f"{name}: {', '.join(said) or 'no value is enough'}"


def named(rule: MeasureRule) -> str:
    return f"{rule.of or 'any defect'}, {rule.measure}"


def amount(rule: MeasureRule, value: float) -> str:
    return f"{figure(value)}{rule.suffix}"


def limit_in_words(rule: Limit) -> str:
    pairs = (("REVIEW", rule.review), ("NG", rule.ng))
    return ", ".join(f"{verdict} from {amount(rule, value)}" for verdict, value in pairs if value is not None)


def grade_in_words(rule: Grade) -> str:
    pairs = (("rework", rule.rework), ("scrap", rule.scrap))
    return ", ".join(f"{grade} from {amount(rule, value)}" for grade, value in pairs if value is not None)
