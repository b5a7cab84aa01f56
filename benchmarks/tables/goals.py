"""Goals of a table and what became of them, one line a goal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from benchmarks.tables.lines import Line, by_draw, difference
from benchmarks.tables.schema import Column, Experiment, Goal
from blemish.evaluation.fewshot import Interval

NOTHING = "–"

FiguresByDraw = dict[str | None, float]  # as of `by_draw`


def goals_markdown(experiment: Experiment, lines: Sequence[Line]) -> list[str]:
    """A line for each goal: what is asked, what was reached, and whether that meets it."""
    if not experiment.goals:
        return []
    texts = "\n".join(f"- {goal_text(goal, experiment, lines)}" for goal in experiment.goals)
    return ["## Goals", texts]


def goal_text(goal: Goal, experiment: Experiment, lines: Sequence[Line]) -> str:
    if goal.against:
        return difference_goal_text(goal, experiment, lines)
    column = column_of(goal, experiment)
    label = experiment.row(goal.row).label + (f" ({goal.device.upper()})" if goal.device else "")
    goal_line = f"{label}: {column.heading} {rule_text(goal, experiment)}"
    other = goal.above or goal.not_below or goal.relative_to
    measured = [figures_of(row, goal, lines) for row in (goal.row, other) if row]
    figures = on_common_draws(measured)
    drawn_by = "draw" if experiment.row(goal.row).traits.source == "draw" else "seed"
    if not all(figures):
        return f"{goal_line}: {f'no {drawn_by} that both have, ' if all(measured) else ''}not measured"
    mean, *bounds = (statistics.fmean(values.values()) for values in figures)
    reached = " against ".join(number_text(value, column.decimals) for value in (mean, *bounds))
    count = len(figures[0])
    fewer = (
        "" if figures == measured else f" (of {count} {drawn_by}{'s' if count > 1 else ''} that both have)"
    )
    return f"{goal_line}: {reached}{fewer}, {'met' if is_met(goal, mean, *bounds) else '**not met**'}"


def number_text(value: float, decimals: int) -> str:
    """A figure; infinite is what was never reached."""
    return f"{value:.{decimals}f}" if math.isfinite(value) else "not reached"


def column_of(goal: Goal, experiment: Experiment) -> Column:
    return next(column for column in experiment.columns if column.path == goal.column)


def difference_goal_text(goal: Goal, experiment: Experiment, lines: Sequence[Line]) -> str:
    """A goal on the difference to another row, draw by draw."""
    column = column_of(goal, experiment)
    own, other = (next(line for line in lines if line.row.name == name) for name in (goal.row, goal.against))
    interval = difference(own, other, column)
    rule = f"≥ {goal.at_least:+g}" + (", told from 0" if goal.told_from_zero else "")
    goal_line = f"{own.label}: {column.heading} minus that of {other.label} {rule}"
    if interval is None:
        return f"{goal_line}: not measured"
    met = interval.mean >= (goal.at_least or 0.0) and (interval.excludes_zero or not goal.told_from_zero)
    return f"{goal_line}: {difference_text(interval, column)}, {'met' if met else '**not met**'}"


def difference_text(interval: Interval | None, column: Column) -> str:
    """A difference with its interval where there is one."""
    if interval is None:
        return NOTHING
    mean = f"{interval.mean:+.{column.decimals}f}"
    if interval.low is None or interval.high is None:
        return mean
    return f"{mean} [{interval.low:+.{column.decimals}f}, {interval.high:+.{column.decimals}f}]"


def rule_text(goal: Goal, experiment: Experiment) -> str:
    if goal.above:
        return f"> {experiment.row(goal.above).label}"
    if goal.relative_to:
        share = goal.at_most if goal.at_least is None else goal.at_least
        sign = "≤" if goal.at_least is None else "≥"
        return f"{sign} {100 * (share or 0.0):g} % of {experiment.row(goal.relative_to).label}"
    if goal.not_below:
        return f"≥ {experiment.row(goal.not_below).label}"
    return f"≥ {goal.at_least:g}" if goal.at_least is not None else f"≤ {goal.at_most:g}"


def is_met(goal: Goal, mean: float, bound: float | None = None) -> bool:
    if bound is not None and goal.relative_to and goal.at_least is not None:
        return bound > 0 and mean >= goal.at_least * bound
    if bound is not None and goal.relative_to and goal.at_most is not None:
        return math.isfinite(mean) and mean <= goal.at_most * bound
    if bound is not None:
        return mean > bound if goal.above else mean >= bound
    if goal.at_least is not None:
        return mean >= goal.at_least
    return goal.at_most is not None and mean <= goal.at_most


def on_common_draws(measured: Sequence[FiguresByDraw]) -> list[FiguresByDraw]:
    """Rows are compared on the draws or seeds that all have, as some are easier than others.

    A row without any is compared with all of the other's.
    """
    if any(None in figures for figures in measured):
        return list(measured)
    common = set.intersection(*(set(figures) for figures in measured))
    return [{key: figures[key] for key in figures if key in common} for figures in measured]


def figures_of(row: str, goal: Goal, lines: Sequence[Line]) -> FiguresByDraw:
    """The goal's figure for a row; where the goal names no device, on the first that has it."""
    for line in lines:
        if line.row.name == row and (goal.device is None or line.device == goal.device):
            figures = by_draw(line, goal.column)
            if figures:
                return figures
    return {}
