"""A table as Markdown, from its stored rows alone: ours beside the paper's, goals, and where all is from."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.reproduce.experiment import Column, Experiment, Goal, PaperRow, Row
from blemish.reproduce.results import Result

NOTHING = "–"


@dataclass(frozen=True)
class Line:
    """One printed line of ours: a row, on one device where there are several, with a result for each seed."""

    row: Row
    device: str | None
    results: tuple[Result, ...]

    @property
    def label(self) -> str:
        return f"{self.row.label} ({self.device.upper()})" if self.device else self.row.label


def table_markdown(name: str, experiment: Experiment, results: Sequence[Result]) -> str:
    """The whole file. Rows without a result are printed empty, so that what is still to be run is seen."""
    lines = lines_of(experiment, results)
    parts = [f"# {experiment.title}", f"{experiment.paper}"]
    for section in dict.fromkeys(line.row.section for line in lines):
        parts += section_markdown(section, lines, experiment)
    parts += goals_markdown(experiment, lines)
    parts += experiment.notes
    parts.append(origin_markdown(name, results))
    return "\n\n".join(parts) + "\n"


def lines_of(experiment: Experiment, results: Sequence[Result]) -> list[Line]:
    """The lines to print, in the order of the experiment's rows."""
    lines = []
    for row in experiment.rows:
        own = sorted((one for one in results if one.row == row.name), key=lambda one: one.seed or 0)
        devices = sorted({one.device or "" for one in own}) or [""]
        lines += [
            Line(row, device or None, tuple(one for one in own if (one.device or "") == device))
            for device in devices
        ]
    return lines


def section_markdown(section: str, lines: Sequence[Line], experiment: Experiment) -> list[str]:
    """The lines of one section as a table for each group of columns, with the columns that any line fills."""
    own = [line for line in lines if line.row.section == section]
    papers = [row for row in experiment.paper_rows if row.section == section]
    parts = [f"## {section}"] if section else []
    filled = [column for column in experiment.columns if is_filled(column, own, papers)]
    for group in dict.fromkeys(column.group for column in filled):
        parts += [f"**{group}**"] if group else []
        parts.append(group_markdown([one for one in filled if one.group == group], own, papers))
    return parts


def group_markdown(columns: Sequence[Column], lines: Sequence[Line], papers: Sequence[PaperRow]) -> str:
    """Our lines, each with the paper's figures of the same row under it, then what only the paper has."""
    table = [["", "seeds", *(column.heading for column in columns)]]
    for line in lines:
        table.append([line.label, seeds_text(line), *(cell(line, column) for column in columns)])
        if line.device in (None, "cpu"):
            table += paper_line(line.row.label, line.row.paper, columns)
    for row in papers:
        table += paper_line(row.title, row.figures, columns)
    return grid(table)


def paper_line(label: str, figures: Mapping[str, float], columns: Sequence[Column]) -> list[list[str]]:
    """The paper's figures as one line, as it gives them; none where it has none for these columns."""
    texts = [f"*{figures[one.path]:g}*" if one.path in figures else "" for one in columns]
    return [[f"{label}, the paper's", "", *texts]] if any(texts) else []


def is_filled(column: Column, lines: Iterable[Line], papers: Iterable[PaperRow]) -> bool:
    if any(column.path in line.row.paper for line in lines) or any(column.path in p.figures for p in papers):
        return True
    return any(found(result, column.path) is not None for line in lines for result in line.results)


def grid(table: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first line is its head, figures are set to the right."""
    head, *body = [f"| {' | '.join(line)} |" for line in table]
    return "\n".join([head, f"| --- |{' ---: |' * (len(table[0]) - 1)}", *body])


def found(result: Result, path: str) -> Any:
    """What the dotted path leads to in the figures; None where nothing is."""
    value: Any = result.figures
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def values_of(line: Line, path: str) -> list[Any]:
    return [value for result in line.results if (value := found(result, path)) is not None]


def cell(line: Line, column: Column) -> str:
    """Mean ± standard deviation over seeds, or counts with their bound."""
    values = values_of(line, column.path)
    if not values:
        return NOTHING
    if all(isinstance(value, Mapping) for value in values):
        return counts_text(values)
    if any(isinstance(value, str) for value in values):
        return ", ".join(dict.fromkeys(str(value) for value in values))
    mean = f"{statistics.fmean(values):.{column.decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{column.decimals}f}" if len(values) > 1 else mean


def counts_text(values: Sequence[Mapping[str, Any]]) -> str:
    """Counts of all seeds and the worst seed's 95 % bound, as "0, 1 of 46 (≤ 9.9 %)"."""
    counts = ", ".join(str(value["n"]) for value in values)
    of = ", ".join(dict.fromkeys(str(value["of"]) for value in values))
    return f"{counts} of {of} (≤ {100 * max(value['upper95'] for value in values):.1f} %)"


def seeds_text(line: Line) -> str:
    seeds = [result.seed for result in line.results if result.seed is not None]
    if seeds:
        return str(len(seeds))
    return NOTHING if line.results else "not run"


def goals_markdown(experiment: Experiment, lines: Sequence[Line]) -> list[str]:
    """One line a goal: what is asked, what was reached, and whether that meets it."""
    if not experiment.goals:
        return []
    told = "\n".join(f"- {goal_text(goal, experiment, lines)}" for goal in experiment.goals)
    return ["## Goals", told]


def goal_text(goal: Goal, experiment: Experiment, lines: Sequence[Line]) -> str:
    column = next(column for column in experiment.columns if column.path == goal.column)
    mean = mean_of(goal.row, goal, lines)
    other = goal.above or goal.not_below
    bound = mean_of(other, goal, lines) if other else None
    label = experiment.row(goal.row).label + (f" ({goal.device.upper()})" if goal.device else "")
    asked = f"{label}: {column.heading} {rule_text(goal, experiment)}"
    if mean is None or (other and bound is None):
        return f"{asked}: not measured"
    reached = f"{mean:.{column.decimals}f}" + (f" against {bound:.{column.decimals}f}" if other else "")
    return f"{asked}: {reached}, {'met' if is_met(goal, mean, bound) else '**not met**'}"


def rule_text(goal: Goal, experiment: Experiment) -> str:
    if goal.above:
        return f"> {experiment.row(goal.above).label}"
    if goal.not_below:
        return f"≥ {experiment.row(goal.not_below).label}"
    return f"≥ {goal.at_least:g}" if goal.at_least is not None else f"≤ {goal.at_most:g}"


def is_met(goal: Goal, mean: float, bound: float | None) -> bool:
    if bound is not None:
        return mean > bound if goal.above else mean >= bound
    if goal.at_least is not None:
        return mean >= goal.at_least
    return goal.at_most is not None and mean <= goal.at_most


def mean_of(row: str | None, goal: Goal, lines: Sequence[Line]) -> float | None:
    """Mean over seeds of the goal's figure for a row; where it names no device, of the first that has it."""
    for line in lines:
        if line.row.name == row and (goal.device is None or line.device == goal.device):
            values = [value for value in values_of(line, goal.column) if not isinstance(value, Mapping | str)]
            if values:
                return statistics.fmean(values)
    return None


def origin_markdown(name: str, results: Sequence[Result]) -> str:
    """Where the figures are from: command, hardware, commit, data."""
    if not results:
        return f"Nothing measured yet. Command: `blemish reproduce {name} --data DATA --seeds 3 --out OUT`"
    origin: dict[str, list[str | None]] = {
        "Command": [f"`{one.command}`" for one in results],
        "Hardware": [one.provenance.get("hardware") for one in results],
        "Commit": [one.provenance.get("commit") for one in results],
        "torch": [one.provenance.get("torch") for one in results],
        "Data fingerprint": [one.data_fingerprint[:12] for one in results if one.data_fingerprint],
        "Wall clock": [f"{sum(one.seconds for one in results):.0f} s over all rows"],
    }
    told = [(title, list(dict.fromkeys(v for v in values if v))) for title, values in origin.items()]
    return "## Where the figures are from\n\n" + "\n".join(
        f"- {title}: {'; '.join(values)}" for title, values in told if values
    )
