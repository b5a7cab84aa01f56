"""A table as Markdown, from its stored rows alone: ours beside the paper's, goals, and where all is from."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.tables.charts import charts_of
from benchmarks.tables.experiment import column_title
from benchmarks.tables.goals import NOTHING, difference_text, goals_markdown, number_text
from benchmarks.tables.lines import (
    FOLDS_PATH,
    Line,
    columns_of,
    difference,
    found,
    interval_over_folds,
    lines_of,
    values_of,
    with_reached,
)
from benchmarks.tables.results import Result
from benchmarks.tables.schema import Column, Experiment, PaperRow
from blemish.evaluation.fewshot import mean_interval

DETECTIONS_PICTURE, METRIC_PICTURE = "detections.png", "metric-space.png"
DRAWS_NOTE = "Behind ± stands half of the 95 % interval of the mean over support draws (Student's t)."


def table_markdown(
    name: str, experiment: Experiment, results: Sequence[Result], *, pictures: Collection[str] = ()
) -> str:
    """The whole file. Rows without a result are printed empty, so that what is still to be run is seen.

    pictures: file names of those that lie beside it
    """
    lines = lines_of(experiment, with_reached(experiment, results))
    columns = columns_of(experiment, results)
    parts = [f"# {experiment.title}", f"{experiment.paper}"]
    parts += by_target_markdown(experiment, lines)
    sections = [line.row.section for line in lines] + [row.section for row in experiment.paper_rows]
    for section in dict.fromkeys(sections):
        parts += section_markdown(section, lines, columns, experiment.paper_rows)
    if any(line.is_few_shot for line in lines):
        parts.append(DRAWS_NOTE)
    parts += [chart.markdown for chart in charts_of(experiment, results)]
    parts += pictures_markdown(experiment, pictures)
    parts += goals_markdown(experiment, lines)
    parts += experiment.notes
    parts.append(origin_markdown(name, results))
    return "\n\n".join(parts) + "\n"


def pictures_markdown(experiment: Experiment, pictures: Collection[str]) -> list[str]:
    """Links to the pictures that are there; those of real sets stay on the machine that drew them."""
    row = experiment.pictures.metric_space if experiment.pictures else None
    texts = {
        DETECTIONS_PICTURE: "Detections of each row on the same test images",
        METRIC_PICTURE: f"Metric space of {row}",
    }
    return [f"![{text}]({name})" for name, text in texts.items() if name in pictures]


def section_markdown(
    section: str, lines: Sequence[Line], columns: Sequence[Column], paper_rows: Sequence[PaperRow]
) -> list[str]:
    """The lines of one section as a table for each group of columns, with the columns that any line fills."""
    own = [line for line in lines if line.row.section == section]
    papers = [row for row in paper_rows if row.section == section]
    parts = [f"## {section}"] if section else []
    filled = [column for column in columns if is_filled(column, own, papers)]
    for group in dict.fromkeys(column.group for column in filled):
        parts += [f"**{group}**"] if group else []
        parts.append(group_markdown([column for column in filled if column.group == group], own, papers))
    return parts + differences_markdown([column for column in filled if column.paired], own, lines)


def by_target_markdown(experiment: Experiment, lines: Sequence[Line]) -> list[str]:
    """For each figure that asks for it, a line a target and a column for each row of the file."""
    parts = []
    own = [line for line in lines if line.row.target]
    heads = list(dict.fromkeys(line.row.template for line in own))
    for column in (column for column in experiment.columns if column.path in experiment.by_target):
        titles = [next(column_title(line.row) for line in own if line.row.template == head) for head in heads]
        table = [[column.heading, *titles]]
        for target in experiment.targets:
            of_target = {line.row.template: line for line in own if line.row.target == target}
            table.append([target, *(cell(of_target[head], column) for head in heads)])
        means = [mean_of_targets([line for line in own if line.row.template == h], column) for h in heads]
        parts.append(grid([*table, ["mean", *means]] if len(experiment.targets) > 1 else table))
    return parts


def mean_of_targets(lines: Sequence[Line], column: Column) -> str:
    """The mean over targets of the mean over seeds; nothing where a target is not measured yet."""
    values = [values_of(line, column.path) for line in lines]
    if not all(values) or any(isinstance(value, Mapping | str) for figures in values for value in figures):
        return NOTHING
    return number_text(statistics.fmean(statistics.fmean(figures) for figures in values), column.decimals)


def differences_markdown(
    columns: Sequence[Column], lines: Sequence[Line], all_lines: Sequence[Line]
) -> list[str]:
    """For each row that others are compared against, the differences on the same support draws."""
    parts: list[str] = []
    for name in dict.fromkeys(line.row.against for line in lines if line.row.against and columns):
        other = next(line for line in all_lines if line.row.name == name)
        counted, drawn = "draws", "on the same draws"
        if other.is_cross_validated:
            counted, drawn = "repeats", "in the same folds"
        elif any(column.paired == "images" for column in columns):
            counted, drawn = "seeds", "on the same images"
        table = [["", counted, *(column.heading for column in columns)]]
        for line in (line for line in lines if line.row.against == name):
            intervals = [difference(line, other, column) for column in columns]
            draws = max((interval.draws for interval in intervals if interval), default=0)
            texts = [
                difference_text(interval, column) for interval, column in zip(intervals, columns, strict=True)
            ]
            table.append([line.label, str(draws or NOTHING), *texts])
        parts += [f"**Difference to {other.label} {drawn}, and its 95 % interval**", grid(table)]
    return parts


def group_markdown(columns: Sequence[Column], lines: Sequence[Line], papers: Sequence[PaperRow]) -> str:
    """Our lines, each with the paper's figures of the same row under it, then what only the paper has."""
    counted = "draws" if lines and all(line.is_few_shot for line in lines) else "seeds"
    if any(line.is_cross_validated for line in lines):
        counted = "repeats"
    table = [["", counted, *(column.heading for column in columns)]]
    for line in lines:
        table.append([line.label, seeds_text(line), *(cell(line, column) for column in columns)])
        if line.device in (None, "cpu"):
            table += paper_line(line.row.label, line.row.paper, columns)
    for row in papers:
        table += paper_line(row.title, row.figures, columns)
    return grid(table)


def paper_line(label: str, figures: Mapping[str, float], columns: Sequence[Column]) -> list[list[str]]:
    """The paper's figures as one line, as it gives them; none where it has none for these columns."""
    texts = [f"*{figures[column.path]:g}*" if column.path in figures else "" for column in columns]
    return [[f"{label}, the paper's", "", *texts]] if any(texts) else []


def is_filled(column: Column, lines: Iterable[Line], papers: Iterable[PaperRow]) -> bool:
    if any(column.path in line.row.paper for line in lines) or any(column.path in p.figures for p in papers):
        return True
    return any(found(result, column.path) is not None for line in lines for result in line.results)


def grid(table: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first line is its head, figures are set to the right."""
    head, *body = [f"| {' | '.join(line)} |" for line in table]
    return "\n".join([head, f"| --- |{' ---: |' * (len(table[0]) - 1)}", *body])


def cell(line: Line, column: Column) -> str:
    """Text of a figure over the line's results, such as a mean, or counts with a bound."""
    values = values_of(line, column.path)
    if not values:
        return NOTHING
    if all(isinstance(value, Mapping) for value in values):
        return counts_text(values, bounded=column.bounded)
    if any(isinstance(value, str) for value in values):
        return ", ".join(dict.fromkeys(str(value) for value in values))
    if not all(math.isfinite(value) for value in values):
        return ", ".join(number_text(value, column.decimals) for value in values)
    return mean_text(line, column, values)


def mean_text(line: Line, column: Column, values: Sequence[float]) -> str:
    """Mean of a figure, with its interval or standard deviation where it has one."""
    if line.is_cross_validated and column.path == FOLDS_PATH:
        over = interval_over_folds(line)
        mean, low, high = (f"{value:.{column.decimals}f}" for value in (over.mean, over.low, over.high))
        return f"{mean} [{low}, {high}]"
    if line.is_few_shot:
        interval = mean_interval(values)
        mean, half = f"{interval.mean:.{column.decimals}f}", interval.half_width
        return mean if half is None else f"{mean} ± {half:.{column.decimals}f}"
    mean = f"{statistics.fmean(values):.{column.decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{column.decimals}f}" if len(values) > 1 else mean


def counts_text(values: Sequence[Mapping[str, Any]], *, bounded: bool) -> str:
    """Counts of all seeds and the worst seed's 95 % bound, as "0, 1 of 46 (≤ 9.9 %)"."""
    counts = ", ".join(str(value["n"]) for value in values)
    of = ", ".join(dict.fromkeys(str(value["of"]) for value in values))
    if not bounded:
        return f"{counts} of {of}"
    return f"{counts} of {of} (≤ {100 * max(value['upper95'] for value in values):.1f} %)"


def seeds_text(line: Line) -> str:
    seeds = [result.seed for result in line.results if result.seed is not None]
    if seeds:
        return str(len(seeds))
    return NOTHING if line.results else "not run"


def span(days: Iterable[str]) -> str:
    """The first and the last of the days that are known."""
    known = sorted({day for day in days if day})
    return " to ".join(dict.fromkeys((known[0], known[-1]))) if known else ""


def origin_markdown(name: str, results: Sequence[Result]) -> str:
    """Where the figures are from: command, hardware, commit, data."""
    if not results:
        return f"Nothing measured yet. Command: `blemish reproduce {name} --data DATA --seeds 3 --out OUT`"
    origin: dict[str, list[str | None]] = {
        "Command": [f"`{result.command}`" for result in results],
        "Hardware": [result.provenance.get("hardware") for result in results],
        "Threads": [
            str(result.provenance["threads"]) for result in results if "threads" in result.provenance
        ],
        "Measured": [span([result.provenance.get("created", "")[:10] for result in results])],
        "Commit": [result.provenance.get("commit") for result in results],
        "torch": [result.provenance.get("torch") for result in results],
        "Data fingerprint": [result.data_fingerprint[:12] for result in results if result.data_fingerprint],
        "Wall clock": [f"{sum(result.seconds for result in results):.0f} s over all rows"],
    }
    lines = [(title, list(dict.fromkeys(v for v in values if v))) for title, values in origin.items()]
    return "## Where the figures are from\n\n" + "\n".join(
        f"- {title}: {'; '.join(values)}" for title, values in lines if values
    )
