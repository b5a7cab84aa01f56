"""Rows that are about one product, once for each product that a table is filled for.

The file of a table describes such a row once; here it becomes a row a target, and so do the goals on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from benchmarks.tables.experiment import OF_PRODUCT, Experiment, Goal, Row
from blemish.errors import BlemishError

PLACE = "{target}"  # in a title or section


def for_targets(experiment: Experiment, targets: Sequence[str]) -> Experiment:
    """The experiment with a row of its own for each target. Raises BlemishError where there are no such rows.

    Goals that name another target than these are left out.
    """
    if not any(row.kind in OF_PRODUCT for row in experiment.rows):
        raise BlemishError(
            f"--target must be given for a table of products. Received: {', '.join(targets)}. Leave it out."
        )
    rows = tuple(made for row in experiment.rows for made in rows_of(row, targets))
    several = {row.name for row in experiment.rows if row.kind in OF_PRODUCT}
    goals = tuple(made for goal in experiment.goals for made in goals_of(goal, targets, several))
    changed = {"rows": rows, "goals": goals, "targets": tuple(targets)}
    return experiment.model_copy(update=changed)


def rows_of(row: Row, targets: Sequence[str]) -> list[Row]:
    """The row itself, or where it is about a product one for each target."""
    if row.kind not in OF_PRODUCT:
        return [row]
    return [
        row.model_copy(
            update={
                "name": row_name(row.name, target),
                "title": row.label.replace(PLACE, target),
                "section": row.section.replace(PLACE, target),
                "template": row.name,
                "target": target,
                "paper": {**row.paper, **row.papers.get(target, {})},
                "reach": row.reach and row_name(row.reach, target),
                "against": row.against and row_name(row.against, target),
                "same_as": row.same_as and row_name(row.same_as, target),
            }
        )
        for target in targets
    ]


def goals_of(goal: Goal, targets: Sequence[str], templates: set[str]) -> list[Goal]:
    """The goal itself, or where it is on a row of products one for each target that it is about."""
    if goal.row not in templates:
        return [goal]
    named: Mapping[str, str | None] = {
        key: getattr(goal, key) for key in ("row", "above", "not_below", "against", "relative_to")
    }
    return [
        goal.model_copy(
            update={key: row_name(name, target) if name in templates else name for key, name in named.items()}
        )
        for target in targets
        if goal.target in (None, target)
    ]


def row_name(row: str | None, target: str) -> str:
    """The name of a row for one target, with letters, digits and hyphens alone, as files are called by it."""
    return f"{row}-{re.sub(r'[^a-z0-9]+', '-', target.lower()).strip('-')}"


def column_title(row: Row) -> str:
    """What all rows of one template have in common, as the head of a column of targets."""
    target = row.target or ""
    shared = [text for text in (row.title, row.section) if text and target not in text]
    return shared[0] if shared else row.template or row.name
