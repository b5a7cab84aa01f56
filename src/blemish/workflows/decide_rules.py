"""Rules of a decision in short text, as people write them: thresholds, limits, minimum sizes and grades."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from blemish.bundle.faults import rule_of
from blemish.bundle.manifest import Strict
from blemish.decision.rules import Costs, Grade, Ignored, Limit
from blemish.errors import BlemishError, WrongUseError
from blemish.evaluation.operating_point import Rule, parse_rule

Part = TypeVar("Part", bound=Strict)
NONE = "none"  # instead of rules: drop those of the revision before
MEASURED = r"(?:(?P<of>.+):)?(?P<measure>\w+)=(?P<value>[^:a-z]+(?:e[-+]?\d+)?)(?P<unit>[a-z]+)?[2²]?"
WRITTEN = {
    "--limit": "[CLASS:]MEASURE=NUMBER[mm|px]:review|ng, such as crack:length=3mm:ng",
    "--grade": "[CLASS:]MEASURE=NUMBER[mm|px]:rework|scrap, such as severity=8:scrap",
    "--ignore": "[CLASS:]MEASURE=NUMBER[mm|px], such as length=0.2mm",
}


@dataclass(frozen=True)
class Rules:
    """Rules of both thresholds, such as "escape<=0.01", and the costs, if any.

    review: None for the default, which depends on the images
    """

    ng: str
    review: str | None = None
    costs: Costs | None = None


def chosen_rules(
    *, escape: float | None, overkill: float | None, cost: str | None, rule: str | None, review: str | None
) -> Rules:
    """Rules of both thresholds from options. Raises WrongUseError for none, for two, and for an unknown rule.

    --escape beside --overkill is the rule of the lower threshold: what must not pass goes to a person.
    """
    for option, share in (("--escape", escape), ("--overkill", overkill)):
        if share is not None and not 0 <= share <= 1:
            raise WrongUseError(
                f"{option} must be a share from 0 to 1. Received: {share:g}. Give 0.01, for example."
            )
    lower = review
    if escape is not None and overkill is not None:
        if review is not None:
            raise WrongUseError(
                "--review cannot be combined with --escape and --overkill, which set it. Leave it out."
            )
        lower, escape = f"escape<={escape}", None
    rules = {
        "--escape": None if escape is None else f"escape<={escape}",
        "--overkill": None if overkill is None else f"overkill<={overkill}",
        "--cost": None if cost is None else f"cost:{cost}",
        "--rule": rule,
    }
    named = {option: text for option, text in rules.items() if text is not None}
    if len(named) != 1:
        raise WrongUseError(
            "decide needs one of --escape, --overkill, --cost and --rule (or --escape with --overkill). "
            f"Received: {', '.join(named) or 'none'}. Give --escape 0.01, for example."
        )
    ((option, upper),) = named.items()
    parsed = parsed_rule(upper, option)
    if lower is not None:
        parsed_rule(lower, "--review", review=True)
    costs = Costs(escape=parsed.escape_cost, overkill=parsed.overkill_cost) if parsed.kind == "cost" else None
    return Rules(upper, lower, costs)


def parsed_rule(text: str, option: str, *, review: bool = False) -> Rule:
    """Rule that an option gives. Raises WrongUseError that names the option."""
    try:
        return parse_rule(text, review=review)
    except BlemishError as error:
        if option == "--cost":
            raise WrongUseError(
                "--cost must be the costs of an image of each kind, such as escape=100,overkill=1. "
                f"Received: '{text.removeprefix('cost:')}'."
            ) from error
        raise WrongUseError(f"{option}: {error}") from error


def parsed_limits(texts: Sequence[str] | None) -> tuple[Limit, ...] | None:
    """Limits from texts such as "crack:length=3mm:ng"; None without any. Raises WrongUseError."""
    return levelled(texts, "--limit", Limit, ("review", "ng"))


def parsed_grades(texts: Sequence[str] | None) -> tuple[Grade, ...] | None:
    """Grades from texts such as "severity=8:scrap"; None without any. Raises WrongUseError."""
    return levelled(texts, "--grade", Grade, ("rework", "scrap"))


def parsed_minimums(texts: Sequence[str] | None) -> tuple[Ignored, ...] | None:
    """Minimum sizes from texts such as "length=0.2mm"; None without any. Raises WrongUseError."""
    if not texts:
        return None
    fields = [fields_of(text, "--ignore", MEASURED) for text in texts if text != NONE]
    return tuple(
        built(Ignored, {**rest, "below": value}, "--ignore") for rest, value in map(without_value, fields)
    )


def levelled(
    texts: Sequence[str] | None, option: str, part: type[Part], levels: tuple[str, str]
) -> tuple[Part, ...] | None:
    """Rules with two levels; what is written of one measure of one class becomes one rule."""
    if not texts:
        return None
    rules: dict[tuple[Any, ...], dict[str, Any]] = {}
    for text in texts:
        if text == NONE:
            continue
        fields, value = without_value(fields_of(text, option, rf"{MEASURED}:(?P<level>{'|'.join(levels)})"))
        level = fields.pop("level").lower()
        rule = rules.setdefault(tuple(fields.values()), fields)
        if level in rule:
            raise WrongUseError(f"{option} must be given once for each level. Received twice: '{text}'.")
        rule[level] = value
    return tuple(built(part, rule, option) for rule in rules.values())


def fields_of(text: str, option: str, pattern: str) -> dict[str, Any]:
    found = re.fullmatch(pattern, text.strip(), flags=re.IGNORECASE)
    if not found:
        raise WrongUseError(f"{option} must be {WRITTEN[option]}. Received: '{text}'.")
    return found.groupdict()


def without_value(fields: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """Split off "value" as a number; text becomes NaN, which is refused later."""
    rest = {name: text for name, text in fields.items() if name != "value"}
    try:
        return rest, float(fields["value"])
    except ValueError:
        return rest, math.nan


def built(part: type[Part], fields: dict[str, Any], option: str) -> Part:
    """Rule of these fields. Raises WrongUseError that speaks of them as the option is written."""
    try:
        return part.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        if fault["type"] == "value_error":
            raise WrongUseError(f"{option}: {fault['ctx']['error']}") from error
        place = {"measure": "MEASURE", "unit": "the unit"}.get(str(fault["loc"][0]), "NUMBER")
        received = fault["input"] if isinstance(fault["input"], str) else f"{fault['input']:g}"
        raise WrongUseError(f"{option}: {place} must be {rule_of(fault)}. Received: {received}.") from error
