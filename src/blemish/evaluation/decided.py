"""Figures of an evaluation on the decision in force: operating point, grades, costs, uses of test images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from blemish.bundle.manifest import Manifest
from blemish.decision.decision import GRADES, Decision
from blemish.decision.sentences import is_as_chosen
from blemish.evaluation.bounds import proportion_bound
from blemish.evaluation.operating_point import BY_HAND, OperatingPoint
from blemish.evaluation.records import Evaluation
from blemish.inspection import Verdict

ABOVE_ALL = 1.0000000000000002  # the next number above 1: no score reaches it


def operating_point_of(manifest: Manifest, decision: Decision | None) -> OperatingPoint | None:
    """Operating point in use: the decision's, else the manifest's; None without any.

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


def with_decision(
    evaluation: Evaluation, decision: Decision | None, *, num_accesses: int | None
) -> Evaluation:
    """The evaluation with the part "decision" in its metrics, as far as it applies.

    Its figures: revision, images by grade ("none": a person is to grade them), cost of the escapes and
    overkill, and uses of the test images.
    num_accesses: evaluations of the bundle on these test images, including this one; None on other images
    """
    part: dict[str, Any] = {} if num_accesses is None else {"test_looks": num_accesses}
    if decision is not None:
        part["revision"] = decision.revision
        judged = [r.inspection for r in evaluation.records if r.inspection.verdict is not Verdict.ERROR]
        grades = [inspection.grade for inspection in judged]
        if any(grades):
            part["grades"] = {str(grade).lower(): grades.count(grade) for grade in (*reversed(GRADES), None)}
        point = evaluation.metrics.get("operating_point")
        if decision.costs is not None and point is not None:
            escapes, overkill = (point[name]["n"] for name in ("escapes", "overkill"))
            part["cost"] = decision.costs.escape * escapes + decision.costs.overkill * overkill
    return replace(evaluation, metrics={**evaluation.metrics, "decision": part}) if part else evaluation
