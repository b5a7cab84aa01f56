"""Choice of a decision's thresholds on calibration images, and the counts of the whole decision there.

The image thresholds follow `operating_point.choose`. A class gets a threshold of its own, on the confidence
of its defects, where it is marked on at least `CLASS_IMAGES` images and as many clean ones are not rejected
yet: the lowest confidence that rejects none of those clean ones. It stays only if it rejects a defective
image that would otherwise pass or go to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blemish.decision.decision import Decision, Judged
from blemish.decision.rules import Ignored, Thresholds, figure
from blemish.decision.sentences import thresholds_of
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.evaluation.bounds import trials_to_prove
from blemish.evaluation.image import is_decided, is_defective, labels_on
from blemish.evaluation.operating_point import (
    OperatingPoint,
    choose,
    limits_of_knowledge,
    measured,
    parse_rule,
)
from blemish.evaluation.records import ImageRecord, TruthDefect
from blemish.inspection import Verdict
from blemish.regions.filled_boxes import defect_of_box
from blemish.regions.measure import smallest_rectangle

CLASS_IMAGES = 20  # with fewer, a rate of 14 % missed or rejected could not be told from none
CLASS_RULE = "overkill<=0"


@dataclass(frozen=True)
class Calibration:
    """Way to choose thresholds. rule, review_rule: see `operating_point`

    class_names: classes that may get a threshold of their own; none where the method tells no classes apart
    without_defects, iou_score: of the method, see `Decision.judge` and `operating_point.choose`
    """

    rule: str
    review_rule: str
    class_names: tuple[str, ...] = ()
    without_defects: float = 1.0
    iou_score: float | None = None


def calibrated(
    records: Sequence[ImageRecord], draft: Decision, how: Calibration
) -> tuple[Decision, OperatingPoint]:
    """The draft with thresholds chosen, and its operating point with the counts of the whole decision.

    records: of images as inspected without any decision or limit on findings; those that could not be judged
        are in no count, nor those with difficult defects alone
    draft: limits, minimum sizes and grades, whose thresholds are replaced
    Raises BlemishError for too few images to follow the rules on, see `operating_point.choose`.
    """
    judged = [record for record in records if record.inspection.score is not None and is_decided(record)]
    bare = draft.model_copy(update={"score": Thresholds(), "classes": {}})
    scores = [answer.score for answer in answers(bare, judged, how)]
    defective = np.array([is_defective(record) for record in judged], dtype=bool)
    refuse_unfollowable(defective, how)
    point = choose(scores, defective, how.rule, review_rule=how.review_rule, iou_score=how.iou_score)
    scored = bare.model_copy(update={"score": thresholds_of(point.review_threshold, point.threshold)})
    decision = scored.model_copy(update={"classes": class_thresholds(scored, judged, how)})
    return decision, counted(decision, point, judged, how)


def counted(
    decision: Decision, point: OperatingPoint, judged: Sequence[ImageRecord], how: Calibration
) -> OperatingPoint:
    """The point with the counts of the whole decision, and notes on their limits."""
    verdicts = [answer.verdict for answer in answers(decision, judged, how)]
    of_choice = [
        note for note in point.notes if note not in limits_of_knowledge(parse_rule(point.rule), point)
    ]
    whole = measured(point, verdicts, [is_defective(record) for record in judged])
    of_review = limits_of_knowledge(parse_rule(how.review_rule, review=True), whole)
    notes = (*whole.notes, *of_review, *of_choice, *low_threshold(decision, how), *of_search(how))
    return replace(whole, notes=tuple(dict.fromkeys(notes)))


def of_search(how: Calibration) -> tuple[str, ...]:
    """A sentence where a rule optimised the very counts that the bounds are of.

    Where a share is given, the count follows from the number of images, and the bound holds (Wilks 1941). In
    simulations of 30 and 100 defective images bounds held in 94 to 96 % with shares, in 88 to 93 % here.
    """
    if not {parse_rule(rule, review=True).kind for rule in (how.rule, how.review_rule)} & {"f1", "cost"}:
        return ()
    return (
        "The rule (F1 or cost) chose the threshold by these same counts, so their bounds hold with about "
        "90 % confidence, not 95 %.",
    )


def low_threshold(decision: Decision, how: Calibration) -> tuple[str, ...]:
    """A sentence where the score may reject images whose defects are all ignored."""
    thresholds = (decision.score.review, decision.score.ng)
    lowest = min((value for value in thresholds if value is not None), default=1.0)
    if not decision.ignore or lowest > how.without_defects:
        return ()
    return (
        f"The threshold {figure(lowest)} is below {figure(how.without_defects)}, the highest score without "
        "defects, so the score may reject an image even if all its defects are ignored.",
    )


def answers(decision: Decision, judged: Sequence[ImageRecord], how: Calibration) -> list[Judged]:
    """Verdicts of a decision on images that were judged; every finding counts that is not ignored."""
    return [
        decision.judge(
            record.inspection.score or 0.0,
            record.inspection.defects,
            without_defects=how.without_defects,
            limited=False,
        )
        for record in judged
    ]


def refuse_unfollowable(defective: NDArray[np.bool_], how: Calibration) -> None:
    """Raises BlemishError for a rule that asks about defective images where there are none."""
    if defective.any():
        return
    for rule in (parse_rule(how.rule), parse_rule(how.review_rule, review=True)):
        if rule.kind in ("f1", "cost") or (rule.kind == "escape" and (rule.limit or rule.text == how.rule)):
            needed = trials_to_prove(min(rule.limit, 0.999999)) if rule.limit else 0
            proof = f" ({needed} prove {100 * rule.limit:g} %)" if rule.limit else ""
            raise BlemishError(
                f"The rule '{rule.text}' needs defective images to calibrate on. Received: 0 of "
                f"{len(defective)}. Add some{proof}, or use --overkill, which needs only clean images."
            )


def class_thresholds(
    scored: Decision, judged: Sequence[ImageRecord], how: Calibration
) -> dict[str, Thresholds]:
    """Thresholds of single classes, by the rule in this file's header."""
    passed = [
        (record, answer)
        for record, answer in zip(judged, answers(scored, judged, how), strict=True)
        if answer.verdict is not Verdict.NG
    ]
    clean = [(record, answer) for record, answer in passed if not is_defective(record)]
    found = {}
    for name in how.class_names if len(clean) >= CLASS_IMAGES else ():
        if sum(name in labels_on(record) for record in judged) < CLASS_IMAGES:
            continue
        marked = [pair for pair in passed if name in labels_on(pair[0])]
        threshold = class_threshold(name, marked, clean)
        if threshold is not None:
            found[name] = Thresholds(ng=threshold)
    return found


def class_threshold(
    name: str,
    marked: Sequence[tuple[ImageRecord, Judged]],
    clean: Sequence[tuple[ImageRecord, Judged]],
) -> float | None:
    """Lowest confidence that rejects none of the clean images; None where it rejects no marked one."""
    of_marked = [top_confidence(name, record, answer) for record, answer in marked]
    of_clean = [top_confidence(name, record, answer) for record, answer in clean]
    if not of_marked:
        return None
    defective = [True] * len(of_marked) + [False] * len(of_clean)
    point = choose([*of_marked, *of_clean], defective, CLASS_RULE, review_rule=CLASS_RULE)
    return point.threshold if point.threshold <= max(of_marked) else None


def top_confidence(name: str, record: ImageRecord, answer: Judged) -> float:
    """Highest confidence of a defect of that class that is not ignored; 0 without one."""
    counted = [record.inspection.defects[index] for index in answer.listed]
    return max((defect.confidence for defect in counted if defect.label == name), default=0.0)


# Defects that a minimum size would hide


@dataclass(frozen=True)
class Hidden:
    """Labelled defects hidden by a minimum size, `count` of all `of`.

    image, size: of the smallest, as text
    """

    count: int
    of: int
    image: str
    size: str


def hidden_defects(
    decision: Decision, records: Sequence[ImageRecord], *, mm_per_px: float | None, classifies: bool
) -> tuple[str, ...]:
    """A sentence for each minimum size above the smallest labelled defect.

    classifies: True where the method tells classes apart; else a rule on its only name concerns every defect
    """
    rules = [rule if classifies else rule.model_copy(update={"of": None}) for rule in decision.ignore]
    hidden = [(rule, hidden_by(rule, records, mm_per_px=mm_per_px)) for rule in rules]
    return tuple(
        f"Ignoring {rule.of or 'any defect'} of {rule.measure} below {figure(rule.below)}{rule.suffix} "
        f"would hide {found.count} of {found.of} labelled defects; the smallest, {found.size}, is in "
        f"{found.image}."
        for rule, found in hidden
        if found is not None
    )


def hidden_by(rule: Ignored, records: Sequence[ImageRecord], *, mm_per_px: float | None) -> Hidden | None:
    """Labelled defects that a minimum size would hide; None where it hides none.

    mm_per_px: None where the scale is unknown
    """
    labelled = [
        (rule.value_of(defect), record.sample.id)
        for record in records
        for defect in (as_defect(true, mm_per_px) for true in record.truth)
        if rule.covers(defect)
    ]
    sizes = [(value, image) for value, image in labelled if value is not None]
    small = [pair for pair in sizes if pair[0] < rule.below]
    if not small:
        return None
    value, image = min(small)
    return Hidden(len(small), len(sizes), image, f"{figure(value)}{rule.suffix}")


def as_defect(truth: TruthDefect, mm_per_px: float | None) -> Defect:
    """Annotated defect measured as a found one is; of a mere box its sides."""
    boxed = defect_of_box(truth.box_xyxy, truth.label, 1.0, mm_per_px=mm_per_px)
    if not truth.contour:
        return boxed
    outlined = smallest_rectangle(truth.contour)
    return replace(boxed, contour=truth.contour, rectangle=outlined, area=truth.area)
