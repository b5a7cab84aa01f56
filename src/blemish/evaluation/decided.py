"""What an evaluation says of the decision that it was made under: operating point, figures, counted looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from blemish.bundle.manifest import Manifest
from blemish.decision.decision import GRADES, Decision
from blemish.decision.sentences import is_as_chosen
from blemish.evaluation.bounds import proportion_bound
from blemish.evaluation.operating_point import BY_HAND, OperatingPoint
from blemish.evaluation.records import Evaluation, ImageRecord

ABOVE_ALL = 1.0000000000000002  # the next number above 1: no score reaches it


def operating_point_of(manifest: Manifest, decision: Decision | None) -> OperatingPoint | None:
    """The thresholds in use and how they were chosen: the decision's, else the manifest's; None without any.

    Thresholds that were set by hand have no counts of their own.
    """
    if decision is None:
        return OperatingPoint.from_json(manifest.operating_point)
    if decision.chosen is not None and is_as_chosen(decision):
        return OperatingPoint.from_json(decision.chosen.point)
    ng = ABOVE_ALL if decision.score.ng is None else decision.score.ng
    review = ng if decision.score.review is None else decision.score.review
    unknown = proportion_bound(0, 0)
    return OperatingPoint(BY_HAND, ng, review, unknown, unknown, unknown)


def with_decision(evaluation: Evaluation, decision: Decision | None, *, looks: int | None) -> Evaluation:
    """The evaluation with the part "decision" in its metrics, where there is something to say.

    looks: at these test images with this bundle, this one included; None on other images
    """
    part: dict[str, Any] = {} if looks is None else {"test_looks": looks}
    if decision is not None:
        part |= {"revision": decision.revision, **graded(evaluation.records), **costs(evaluation, decision)}
    return replace(evaluation, metrics={**evaluation.metrics, "decision": part}) if part else evaluation


def graded(records: Sequence[ImageRecord]) -> dict[str, Any]:
    """How many images have which grade; nothing where none is graded."""
    counts = Counter(record.inspection.grade for record in records if record.inspection.grade)
    return {"grades": {grade: counts[grade] for grade in reversed(GRADES)}} if counts else {}


def costs(evaluation: Evaluation, decision: Decision) -> dict[str, float]:
    """What the escapes and overkill of these images cost, where costs are known."""
    point = evaluation.metrics.get("operating_point")
    if decision.costs is None or point is None:
        return {}
    escapes, overkill = (point[name]["n"] for name in ("escapes", "overkill"))
    return {"cost": decision.costs.escape * escapes + decision.costs.overkill * overkill}
