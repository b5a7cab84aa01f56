"""Operating point: thresholds on the image score that separate OK, REVIEW and NG, chosen by a rule.

A score at or above `threshold` is NG, a score below `review_threshold` is OK, and scores between go to a
person. Thresholds lie half-way between neighbouring validation scores, so that none coincides with a score
that was seen. The rules that are followed where none is set are in `review_band`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.bundle.manifest import StoredOperatingPoint
from blemish.errors import BlemishError
from blemish.evaluation.bounds import ProportionBound, proportion_bound, trials_to_prove
from blemish.evaluation.review_band import (
    balanced,
    default_rules,
    note_on_band,
    surely_above,
    surely_allowed,
)
from blemish.inspection import Verdict

RULES = "f1, max-iou, escape<=0.01, overkill<=0.02, overkill<=0.02@95%, cost:escape=100,overkill=1"
REVIEW_RULES = f"{RULES}, balance<=0.2"
NO_ESCAPE = "escape<=0"
GIVEN = "as given"  # the rule of thresholds that nothing was chosen by
BY_HAND = "by hand"  # in place of a rule, where a person has set the thresholds
NUMBER = r"(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)"


@dataclass(frozen=True)
class Rule:
    """Parsed rule. kind: "f1", "max-iou", "escape", "overkill", "balance" or "cost".

    limit: the largest share allowed, in [0, 1], for "escape", "overkill" and "balance"
    sure: the upper bound of the share must keep the limit, not the share that was counted
    escape_cost, overkill_cost: per image, for "cost"
    """

    text: str
    kind: str
    limit: float = 0.0
    sure: bool = False
    escape_cost: float = 0.0
    overkill_cost: float = 0.0


@dataclass(frozen=True)
class OperatingPoint:
    """Two thresholds, the rule that they follow, and their counts on the images that they were measured on.

    threshold ≥ review_threshold: image scores
    escapes: defective images called OK; overkill: clean images called NG; review: images sent to a person
    notes: sentences on the limits of the counts
    """

    rule: str
    threshold: float
    review_threshold: float
    escapes: ProportionBound
    overkill: ProportionBound
    review: ProportionBound
    notes: tuple[str, ...] = field(default=())

    def verdict(self, score: float) -> Verdict:
        """Verdict of a score: OK below the review threshold, NG from the threshold up, REVIEW between."""
        if score >= self.threshold:
            return Verdict.NG
        return Verdict.OK if score < self.review_threshold else Verdict.REVIEW

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "threshold": self.threshold,
            "review_threshold": self.review_threshold,
            "escapes": self.escapes.to_json(),
            "overkill": self.overkill.to_json(),
            "review": self.review.to_json(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, stored: StoredOperatingPoint | None) -> OperatingPoint | None:
        """Operating point that a manifest holds; None where none was chosen."""
        if stored is None:
            return None
        return cls(
            rule=stored.rule,
            threshold=stored.threshold,
            review_threshold=stored.review_threshold,
            escapes=ProportionBound.from_json(stored.escapes),
            overkill=ProportionBound.from_json(stored.overkill),
            review=ProportionBound.from_json(stored.review),
            notes=stored.notes,
        )


def parse_rule(text: str, *, review: bool = False) -> Rule:
    """Parse the text of a rule. Raises BlemishError that lists the rules for anything else.

    review: it is of the lower threshold, for which alone there is "balance"
    """
    spelled = re.sub(r"\s+", "", text.lower())
    if spelled in ("f1", "max-iou"):
        return Rule(text, spelled)
    limit = re.fullmatch(rf"(escape|overkill|balance)<={NUMBER}(%?)(@95%)?", spelled)
    if limit and (limit[1] != "balance" or review):
        share = float(limit[2]) / (100 if limit[3] else 1)
        if (share <= 1 and not limit[4]) or (limit[1] == "overkill" and 0 < share < 1):
            return Rule(text, limit[1], limit=share, sure=bool(limit[4]))
    cost = re.fullmatch(rf"cost:escape={NUMBER},overkill={NUMBER}", spelled)
    if cost and float(cost[1]) + float(cost[2]) > 0:
        return Rule(text, "cost", escape_cost=float(cost[1]), overkill_cost=float(cost[2]))
    raise BlemishError(
        f"A rule for a threshold must be one of {REVIEW_RULES if review else RULES}. "
        f"Received: '{text}'. Use one of these."
    )


def choose(
    scores: ArrayLike,
    defective: ArrayLike,
    rule: str,
    *,
    review_rule: str | None = None,
    iou_score: float | None = None,
) -> OperatingPoint:
    """Choose the operating point by `rule` on validation images.

    scores: [n] image scores in [0, 1], higher is worse; defective: [n] the truth
    rule: "f1" maximises F1 of NG; "escape<=x" rejects the fewest clean images with at most the share x of the
        defective ones under the threshold; "overkill<=x" misses the fewest defective images with at most
        the share x of the clean ones rejected; "cost:…" minimises the total cost. Of equal choices, that with
        fewer misses. "overkill<=x@95%" and "balance<=x": see `review_band`. "max-iou" takes `iou_score`:
        the threshold of `sweep_threshold`, as an image score
    review_rule: a rule for the lower threshold, which is never above the upper one; where it would leave no
        clean image OK there is no review band, and a note says so. None: that of `default_rules`
    Too few images are no error: bounds and notes tell how little is known. Without a clean image the
    threshold lies half-way between 0 and the lowest score. Without a defective one, only "overkill<=x"
    and "max-iou" can be followed, the former by the lowest threshold that it allows, as that misses the
    fewest defects, and for REVIEW "balance<=x"; other rules raise BlemishError, as do scores outside [0, 1]
    and no image.
    """
    scores, defective = checked(scores, defective)
    parsed = parse_rule(rule)
    threshold = threshold_for(parsed, scores, defective, iou_score)
    review_rule = review_rule or default_rules(any_defective=bool(defective.any()))[1]
    review, notes = review_threshold_for(review_rule, scores, defective, threshold, iou_score)
    unknown = proportion_bound(0, 0)
    point = OperatingPoint(parsed.text, threshold, review, unknown, unknown, unknown)
    point = measured(point, [point.verdict(score) for score in scores.tolist()], defective)
    return replace(point, notes=(*point.notes, *notes))


def given_point(threshold: float, review_threshold: float | None = None) -> OperatingPoint:
    """Operating point of given thresholds, without counts. review_threshold: None for no review band"""
    review = threshold if review_threshold is None else review_threshold
    unknown = proportion_bound(0, 0)
    return OperatingPoint(GIVEN, threshold, review, unknown, unknown, unknown)


def measured(point: OperatingPoint, verdicts: Sequence[Verdict], defective: ArrayLike) -> OperatingPoint:
    """The point with counts and notes of other images, such as the test split.

    Images of verdict ERROR are in no count: they were called neither good nor bad. defective: [n] the truth
    """
    pairs = [
        (verdict, bool(bad))
        for verdict, bad in zip(verdicts, np.asarray(defective, dtype=bool), strict=True)
        if verdict is not Verdict.ERROR
    ]
    of_defective = [verdict for verdict, bad in pairs if bad]
    of_clean = [verdict for verdict, bad in pairs if not bad]
    counted = replace(
        point,
        escapes=share_of(Verdict.OK, of_defective),
        overkill=share_of(Verdict.NG, of_clean),
        review=share_of(Verdict.REVIEW, of_defective + of_clean),
    )
    unchosen = point.rule in (GIVEN, BY_HAND)
    rule = Rule(point.rule, point.rule) if unchosen else parse_rule(point.rule)
    return replace(counted, notes=limits_of_knowledge(rule, counted))


def share_of(verdict: Verdict, verdicts: Sequence[Verdict]) -> ProportionBound:
    """Number of images with a verdict, with bounds."""
    return proportion_bound(sum(each is verdict for each in verdicts), len(verdicts))


def checked(scores: ArrayLike, defective: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and truth as arrays [n]. Raises BlemishError for no images, and for scores outside [0, 1]."""
    scores = np.asarray(scores, dtype=np.float64).ravel()
    defective = np.asarray(defective, dtype=bool).ravel()
    assert len(scores) == len(defective), f"{len(scores)} scores for {len(defective)} images"
    if not len(scores):
        raise BlemishError(
            "An operating point is chosen on validation images. Received: none. Add a val split."
        )
    wrong = scores[~((scores >= 0) & (scores <= 1))]
    if len(wrong):
        raise BlemishError(f"Image scores must lie in [0, 1]. Received: {wrong[0]}. Train the model again.")
    return scores, defective


def threshold_for(
    rule: Rule, scores: NDArray[np.float64], defective: NDArray[np.bool_], iou_score: float | None
) -> float:
    """The candidate threshold that fits a rule best, whatever the review band."""
    if rule.kind == "max-iou":
        if iou_score is None:
            raise BlemishError(
                "The rule 'max-iou' needs outlined defects to sweep the pixel threshold on. Received: none. "
                "Use f1 or escape<=x, or add masks to the validation images."
            )
        return float(iou_score)
    if not defective.any() and rule.kind != "overkill":
        raise BlemishError(
            f"The rule '{rule.text}' needs defective validation images. Received: 0 of {len(scores)}. "
            "Move some to the val split, or use overkill<=x."
        )
    thresholds, clean = candidate_thresholds(scores), scores[~defective]
    misses = np.searchsorted(np.sort(scores[defective]), thresholds)
    false_alarms = len(clean) - np.searchsorted(np.sort(clean), thresholds)
    of_defective, of_clean = int(defective.sum()), len(clean)
    losses = losses_by(rule, misses, false_alarms, of_defective=of_defective, of_clean=of_clean)
    if not of_defective:
        lowest = float(thresholds[np.isfinite(losses)][0])
        return surely_above(clean, rule.limit, lowest) if rule.sure and lowest > clean.max() else lowest
    return float(thresholds[np.lexsort((false_alarms, misses, losses))[0]])


def losses_by(
    rule: Rule, misses: NDArray[np.intp], false_alarms: NDArray[np.intp], *, of_defective: int, of_clean: int
) -> NDArray[np.float64]:
    """Loss that the rule minimises, per candidate; infinite where it forbids the candidate.

    Some candidate is always allowed: the lowest misses nothing, the highest rejects nothing.
    """
    if rule.kind == "f1":
        hits = of_defective - misses
        return -2 * hits / (of_defective + hits + false_alarms)
    if rule.kind == "cost":
        return rule.escape_cost * misses + rule.overkill_cost * false_alarms
    # A share is compared as a count, with room for the rounding of a product such as 0.07 · 100.
    if rule.kind == "escape":
        return np.where(misses <= rule.limit * of_defective + 1e-9, false_alarms, np.inf)
    allowed = max(0, surely_allowed(rule.limit, of_clean)) if rule.sure else rule.limit * of_clean + 1e-9
    return np.where(false_alarms <= allowed, misses, np.inf)


def candidate_thresholds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds below all scores, between each two neighbours, and above all, ascending. scores: [n]"""
    seen = np.unique(scores)
    middles = (seen[:-1] + seen[1:]) / 2
    middles = np.where(middles > seen[:-1], middles, seen[1:])  # between adjacent floats there is no middle
    above = (seen[-1] + 1) / 2 if seen[-1] < np.nextafter(1, 0) else np.nextafter(1, 2)
    return np.concatenate(([seen[0] / 2], middles, [above]))


def review_threshold_for(
    review_rule: str,
    scores: NDArray[np.float64],
    defective: NDArray[np.bool_],
    threshold: float,
    iou_score: float | None,
) -> tuple[float, tuple[str, ...]]:
    """Lower threshold, never above `threshold`, and notes on it."""
    rule = parse_rule(review_rule, review=True)
    if rule.kind == "balance":
        return balanced_threshold(rule, scores, defective, threshold)
    if not defective.any() and rule.kind != "overkill":
        return threshold, ("No review band: there is no defective validation image to place it by.",)
    review = min(threshold, threshold_for(rule, scores, defective, iou_score))
    clean = scores[~defective]
    if review == threshold or not len(clean) or (clean < review).any():
        return review, ()
    missed = int((scores[defective] < threshold).sum())
    images = "the defective validation image" if missed == 1 else f"all {missed} defective validation images"
    note = (
        f"No review band: one that catches {images} below the threshold would send every clean image to "
        "review. Try a review rule such as escape<=0.05."
    )
    return threshold, (note,)


def balanced_threshold(
    rule: Rule, scores: NDArray[np.float64], defective: NDArray[np.bool_], threshold: float
) -> tuple[float, tuple[str, ...]]:
    """Lower threshold by "balance<=x", never above `threshold`, and notes on it."""
    thresholds, bad, clean = candidate_thresholds(scores), scores[defective], scores[~defective]
    thresholds = np.append(thresholds[thresholds < threshold], threshold)
    review = balanced(thresholds, bad, clean, rule.limit)
    if len(bad):
        # As low as no defective image passes, unless no clean one would.
        caught = threshold_for(parse_rule(NO_ESCAPE), scores, defective, None)
        review = min(caught, review) if (clean < caught).any() else review
    return review, note_on_band(review, bad, clean)


def limits_of_knowledge(rule: Rule, point: OperatingPoint) -> tuple[str, ...]:
    """Sentences on what the counts of a point cannot show about its rule."""
    notes = []
    if point.overkill.of == 0:
        notes.append("No clean image: nothing is known about overkill.")
    if point.escapes.of == 0:
        notes.append("No defective image: nothing is known about escapes.")
    bound = {"escape": point.escapes, "overkill": point.overkill}.get(rule.kind)
    if bound is not None and bound.of and bound.upper95 > rule.limit > 0:
        happened = "escaped" if rule.kind == "escape" else "rejected though clean"
        notes.append(
            f"{bound.sentence(happened)}. To prove {100 * rule.limit:g} % takes at least "
            f"{trials_to_prove(min(rule.limit, 0.999999))} such images without a single one {happened}."
        )
    return tuple(notes)
