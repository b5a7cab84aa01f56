"""Decision: the rules in decision.yaml, and the verdict, grade and reasons that follow from them.

The verdict is the worst that any rule asks for. A greater score, confidence, severity or size never makes it
better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from blemish.bundle.manifest import Strict
from blemish.decision.rules import Chosen, Costs, Grade, Ignored, Limit, MeasureRule, Thresholds, figure
from blemish.defect import Defect
from blemish.inspection import Verdict

SCHEMA_VERSION = 1
MAX_REVISION = 999_999_999  # by whose digits a bundle knows a saved decision, see `bundle.store.CHANGEABLE`
GradeName = Literal["accept", "rework", "scrap"]
FROM_BAD_TO_GOOD = (Verdict.NG, Verdict.REVIEW, Verdict.OK)
GRADES: tuple[GradeName, ...] = ("scrap", "rework", "accept")


@dataclass(frozen=True)
class Judged:
    """Verdict on an image, with grade and reasons.

    score: the one that counts: that of the image, or lower where every defect is ignored
    listed: indices of the findings that count as defects
    under_limit: of those that do not, as the score stays under the limit and they meet no rule of their own
    grade: None where nothing is graded, and where the part is not OK by anything but the grades
    reasons: a text for each rule that was met, the worst first, and on the findings that do not count
    """

    verdict: Verdict
    grade: GradeName | None
    reasons: tuple[str, ...]
    score: float
    listed: tuple[int, ...]
    under_limit: tuple[int, ...] = ()


@dataclass(frozen=True)
class VerdictThreshold:
    """Verdict and grade of an image for values of at least `threshold`."""

    threshold: float
    verdict: Verdict
    grade: GradeName | None = None


@dataclass(frozen=True)
class Check:
    """A rule on defects: those it covers, their measure, its wording, and its thresholds, the worst first.

    phrase: with "{}" for a value and its unit; suffix: the unit behind a number
    """

    covers: Callable[[Defect], bool]
    value_of: Callable[[Defect], float | None]
    phrase: str
    suffix: str
    levels: tuple[VerdictThreshold, ...]

    def is_met(self, defect: Defect) -> bool:
        """True for a defect that meets the rule, or that cannot be measured as it requires."""
        value = self.value_of(defect) if self.covers(defect) else -math.inf
        return value is None or any(value >= level.threshold for level in self.levels)

    def reason(self, label: str, value: float, level: VerdictThreshold) -> str:
        """ "crack 3.2 mm long ≥ 3 mm: scrap" """
        measured = self.phrase.format(f"{figure(value)}{self.suffix}")
        grade = f": {level.grade}" if level.grade else ""
        return f"{label} {measured} ≥ {figure(level.threshold)}{self.suffix}{grade}"


@dataclass(frozen=True)
class Met:
    """A rule that was met, and why."""

    verdict: Verdict
    reason: str
    grade: GradeName | None = None


class Decision(Strict):
    """decision.yaml. Scores and confidences in [0, 1]; sizes in the unit that each rule names.

    revision: counted up with every change; bundle: id of the bundle that it is for
    mm_per_px: scale of the images, before the bundle's own; null: the bundle's
    score: thresholds on the image score; classes: by name, on the confidence of a defect of that class
    limits, ignore, grades: sizes and severities of single defects
    """

    schema_version: Literal[1] = 1
    revision: int = Field(ge=1, le=MAX_REVISION)
    bundle: str
    mm_per_px: float | None = Field(None, gt=0)
    score: Thresholds
    classes: dict[str, Thresholds] = Field(default={})
    limits: tuple[Limit, ...] = ()
    ignore: tuple[Ignored, ...] = ()
    grades: tuple[Grade, ...] = ()
    costs: Costs | None = None
    chosen: Chosen | None = None

    def judge(
        self,
        score: float,
        defects: Sequence[Defect],
        *,
        without_defects: float = 1.0,
        limited: bool = True,
    ) -> Judged:
        """Verdict, grade and reasons for an image, and which of its findings are defects.

        score: in [0, 1]; defects: the findings, measured in mm where a rule is in mm, see
            `decision.store.refuse_unfit`
        without_defects: the highest score of an image on which the method finds nothing; it counts where
            every defect is ignored, so that ignored defects reject no part
        limited: where the score stays under its thresholds, only findings that meet a rule of their own are
            defects; else all are that are not ignored
        """
        kept = tuple(index for index, defect in enumerate(defects) if not self.ignores(defect))
        if defects and not kept:
            score = min(score, without_defects)
        checks = tuple(self.checks())
        results = [rule_met(check, [defects[index] for index in kept]) for check in checks]
        met = [result for result in results if result is not None]
        levels = verdict_levels(self.score)
        level = next((each for each in levels if score >= each.threshold), None)
        if level is not None:
            met.insert(0, Met(level.verdict, f"score {figure(score)} ≥ {figure(level.threshold)}"))
        met.sort(key=lambda result: FROM_BAD_TO_GOOD.index(result.verdict))
        grades = {result.grade for result in met}
        reasons = [result.reason for result in met]
        if ignored := len(defects) - len(kept):
            reasons.append(
                f"{ignored} {'defect' if ignored == 1 else 'defects'} below the minimum size ignored"
            )
        listed = kept
        if limited and level is None:
            listed = tuple(index for index in kept if any(check.is_met(defects[index]) for check in checks))
            limit = min((each.threshold for each in levels), default=None)
            reasons += reasons_under_limit(len(kept) - len(listed), score, limit)
        accepted: GradeName | None = "accept" if self.grades and not met else None
        return Judged(
            verdict=met[0].verdict if met else Verdict.OK,
            grade=next((grade for grade in GRADES if grade in grades), accepted),
            reasons=tuple(reasons),
            score=score,
            listed=listed,
            under_limit=tuple(index for index in kept if index not in listed),
        )

    def ignores(self, defect: Defect) -> bool:
        """True for a defect below a minimum size; a defect that cannot be measured is not ignored."""
        values = [(rule.value_of(defect), rule.below) for rule in self.ignore if rule.covers(defect)]
        return any(value is not None and value < below for value, below in values)

    def checks(self) -> Iterator[Check]:
        """Every rule on single defects.

        A defect that is to be reworked or scrapped is never passed: its verdict is REVIEW at least.
        """
        for name, thresholds in self.classes.items():
            yield confidence_check(name, thresholds)
        for limit in self.limits:
            yield measured_check(limit, verdict_levels(limit))
        for rule in self.grades:
            pairs: tuple[tuple[float | None, GradeName], ...] = (
                (rule.scrap, "scrap"),
                (rule.rework, "rework"),
            )
            levels = [
                VerdictThreshold(value, Verdict.REVIEW, grade) for value, grade in pairs if value is not None
            ]
            yield measured_check(rule, tuple(levels))

    @property
    def measured(self) -> Iterator[tuple[str, int, MeasureRule]]:
        """Every rule on a measure, with the key of its list in the file and its place there."""
        for name, rules in (("limits", self.limits), ("ignore", self.ignore), ("grades", self.grades)):
            yield from ((name, number, rule) for number, rule in enumerate(rules))


def reasons_under_limit(count: int, score: float, limit: float | None) -> list[str]:
    """Text on findings that are no defects; nothing where there are none. limit: None where none is set"""
    if not count:
        return []
    findings = "1 finding is no defect" if count == 1 else f"{count} findings are no defects"
    why = "no rule is met by " + ("it" if count == 1 else "them")
    return [f"{findings}: {why if limit is None else f'score {figure(score)} < {figure(limit)}'}"]


def confidence_check(name: str, thresholds: Thresholds) -> Check:
    return Check(
        covers=lambda defect: defect.label == name,
        value_of=lambda defect: defect.confidence,
        phrase="confidence {}",
        suffix="",
        levels=verdict_levels(thresholds),
    )


def measured_check(rule: MeasureRule, levels: tuple[VerdictThreshold, ...]) -> Check:
    return Check(rule.covers, rule.value_of, rule.phrase, rule.suffix, levels)


def verdict_levels(rule: Thresholds | Limit) -> tuple[VerdictThreshold, ...]:
    """The rule's thresholds that are set, NG before REVIEW."""
    pairs = ((rule.ng, Verdict.NG), (rule.review, Verdict.REVIEW))
    return tuple(
        VerdictThreshold(threshold, verdict) for threshold, verdict in pairs if threshold is not None
    )


def rule_met(check: Check, defects: Sequence[Defect]) -> Met | None:
    """Verdict and reason by the rule's greatest defect and the number of others; None where none meets it.

    A defect that cannot be measured is for a person: REVIEW.
    """
    covered = [(check.value_of(defect), defect.label) for defect in defects if check.covers(defect)]
    values = [(value, label) for value, label in covered if value is not None]
    greatest, label = max(values, default=(0.0, ""), key=lambda pair: pair[0])
    for level in check.levels if values else ():
        if greatest >= level.threshold:
            more = sum(value >= level.threshold for value, _ in values) - 1
            also = f" (and {more} more)" if more else ""
            return Met(level.verdict, check.reason(label, greatest, level) + also, level.grade)
    unmeasured = [label for value, label in covered if value is None]
    if unmeasured:
        return Met(Verdict.REVIEW, f"{unmeasured[0]} could not be measured as a rule requires")
    return None
