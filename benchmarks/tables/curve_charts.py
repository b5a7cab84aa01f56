"""The line charts beside a table, from its stored results alone: means over seeds and their 95 % intervals.

Source of those by epochs: MeDetection, Fig. 4, where a line is one training. Deviation: ours can end early,
and then keep their best look's value from then on, as that is the state that is kept.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from benchmarks.tables.curve import Curve
from benchmarks.tables.experiment import OF_DRAW, Experiment
from benchmarks.tables.lines import found
from benchmarks.tables.reached import ADAPTATION
from benchmarks.tables.results import Result
from benchmarks.tables.targets import PLACE, row_name
from blemish.errors import BlemishError
from blemish.evaluation.fewshot import Interval, mean_interval
from blemish.evaluation.report.plot import line_file
from blemish.files import write_atomically

ByRow = Mapping[str, Sequence[Result]]


@dataclass(frozen=True)
class Chart:
    """A drawn curve. caption: what its lines and intervals are, for the page that shows it"""

    file: str
    title: str
    caption: str
    svg: str

    @property
    def markdown(self) -> str:
        return f"![{self.title}]({self.file})\n\n*{self.title}. {self.caption}*"


@dataclass(frozen=True)
class Point:
    x: float
    y: Interval


@dataclass(frozen=True)
class Looks:
    """What one training's looks measured.

    epochs: ascending; values: of one measure, as many; kept: its value for the state that training ended with
    """

    epochs: tuple[float, ...]
    values: tuple[float, ...]
    kept: float

    def at(self, epoch: float) -> float:
        """The value of the last look until then; after the last of all that of the state that was kept."""
        if epoch > self.epochs[-1]:
            return self.kept
        return self.values[bisect_right(self.epochs, epoch) - 1]


def write_charts(folder: Path, experiment: Experiment, results: Sequence[Result]) -> None:
    """Write each chart that something was measured for into the table's folder."""
    for chart in charts_of(experiment, results):
        write_atomically(folder / chart.file, chart.svg)


def charts_of(experiment: Experiment, results: Sequence[Result]) -> list[Chart]:
    """The charts that something was measured for; for rows about products one for each of these."""
    by_row: dict[str, list[Result]] = {}
    for result in results:
        by_row.setdefault(result.row, []).append(result)
    drawn = [
        chart_of(one, experiment, by_row)
        for curve in experiment.curves
        for one in for_each_target(curve, experiment)
    ]
    return [chart for chart in drawn if chart is not None]


def for_each_target(curve: Curve, experiment: Experiment) -> list[Curve]:
    """The curve with the names that its rows have in the table, for each product that they are about."""
    own = [row for row in experiment.rows if (row.template or row.name) in curve.row_names]
    made = []
    for target in dict.fromkeys(row.target for row in own if row.target):
        names = {row.template or row.name: row.name for row in own if row.target in (None, target)}
        changed = {
            "file": f"{row_name(PurePath(curve.file).stem, target)}.svg",
            "title": curve.title.replace(PLACE, target),
            "lines": {line: tuple(names[name] for name in rows) for line, rows in curve.lines.items()},
            "levels": {level: names[name] for level, name in curve.levels.items()},
        }
        made.append(curve.model_copy(update=changed))
    return made or [curve]


def chart_of(curve: Curve, experiment: Experiment, by_row: ByRow) -> Chart | None:
    """The chart and what to say under it; None where nothing is measured."""
    if curve.look:
        lines, remark = lines_by_epoch(curve, by_row)
    else:
        lines, remark = lines_by_setting(curve, experiment, by_row), ""
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    spans = {name: spans_of(points, curve.limits) for name, points in lines.items()}
    svg = line_file(
        {name: [(point.x, point.y.mean) for point in points] for name, points in lines.items()},
        spans,
        title=curve.title,
        x_name=curve.x_name,
        y_name=curve.y_name,
        x_ticks=sorted({point.x for points in lines.values() for point in points}) if curve.setting else (),
    )
    few_shot = any(row.name in curve.row_names and row.kind in OF_DRAW for row in experiment.rows)
    caption = [means_text(lines, "draws" if few_shot else "seeds"), interval_text(lines, spans), remark]
    return Chart(curve.file, curve.title, " ".join(text for text in caption if text), svg)


def lines_by_setting(curve: Curve, experiment: Experiment, by_row: ByRow) -> dict[str, list[Point]]:
    """A point for each row that is measured and whose figures are all finite, by rising setting; of a level
    one at each place that the lines have.
    """
    settings = {row.name: {**experiment.settings, **row.settings} for row in experiment.rows}
    lines: dict[str, list[Point]] = {}
    for line, names in curve.lines.items():
        values = {name: numbers(curve, by_row.get(name, ())) for name in names}
        points = [
            Point(settings[name][curve.setting or ""], mean_interval(some))
            for name, some in values.items()
            if some and all(math.isfinite(value) for value in some)
        ]
        lines[line] = sorted(points, key=lambda point: point.x)
    places = sorted({point.x for points in lines.values() for point in points})
    for level, name in curve.levels.items():
        some = numbers(curve, by_row.get(name, ()))
        finite = bool(some) and all(math.isfinite(value) for value in some)
        lines[level] = [Point(place, mean_interval(some)) for place in places] if finite else []
    return lines


def numbers(curve: Curve, results: Sequence[Result]) -> list[float]:
    """The column's figures. Raises BlemishError for one that is no number."""
    values = [value for result in results if (value := found(result, curve.column or "")) is not None]
    for value in values:
        if not isinstance(value, int | float):
            raise BlemishError(
                f"curve {curve.file}: column '{curve.column}' must hold numbers. Received: {value!r}. "
                "Name another column."
            )
    return values


def lines_by_epoch(curve: Curve, by_row: ByRow) -> tuple[dict[str, list[Point]], str]:
    """A line for each row, up to the last look of all, and which trainings ended before that."""
    lines = {line: looks_of(curve, by_row.get(name, ())) for line, (name,) in curve.lines.items()}
    epochs = sorted({epoch for seeds in lines.values() for one in seeds for epoch in one.epochs})
    drawn = {line: mean_line(seeds, epochs) for line, seeds in lines.items() if seeds}
    ended = {line: sum(one.epochs[-1] < epochs[-1] for one in seeds) for line, seeds in lines.items()}
    early = ", ".join(f"{number} of {line}" for line, number in ended.items() if number)
    return (
        drawn,
        f"Seeds that ended early ({early}) keep their best look's value from then on." if early else "",
    )


def looks_of(curve: Curve, results: Sequence[Result]) -> list[Looks]:
    """The looks of each seed that has any."""
    stored = [result.figures.get(ADAPTATION) for result in results]
    return [looks_from(one, curve.look or "") for one in stored if one]


def looks_from(adaptation: Mapping[str, Any], measure: str) -> Looks:
    """adaptation: {"best_step", "steps_of_epoch", "looks": [{"step", measures…}, …]}"""
    looks = adaptation["looks"]
    return Looks(
        tuple(look["step"] / adaptation["steps_of_epoch"] for look in looks),
        tuple(look[measure] for look in looks),
        next(look[measure] for look in looks if look["step"] == adaptation["best_step"]),
    )


def mean_line(seeds: Sequence[Looks], epochs: Sequence[float]) -> list[Point]:
    """The mean at every epoch that anything of the chart was looked at, from where all seeds have a look."""
    first = max(one.epochs[0] for one in seeds)
    return [Point(e, mean_interval([one.at(e) for one in seeds])) for e in epochs if e >= first]


def spans_of(points: Sequence[Point], limits: tuple[float, float] | None) -> list[tuple[float, float, float]]:
    """x and the ends of the interval of each point that has one, cut where y cannot be."""
    least, most = limits or (-math.inf, math.inf)
    return [
        (point.x, max(point.y.low, least), min(point.y.high, most))
        for point in points
        if point.y.low is not None and point.y.high is not None
    ]


def means_text(lines: Mapping[str, Sequence[Point]], counted: str) -> str:
    """Of how many seeds each line is the mean, one number where all have the same."""
    ranges = {line: sorted({point.y.draws for point in points}) for line, points in lines.items()}
    texts = {
        line: "–".join(str(n) for n in dict.fromkeys((all_[0], all_[-1]))) for line, all_ in ranges.items()
    }
    if set(texts.values()) == {"1"}:
        return f"One of the {counted} alone."
    told = ", ".join(f"{text} ({line})" for line, text in texts.items())
    return f"Mean over {counted}: {told if len(set(texts.values())) > 1 else next(iter(texts.values()))}."


def interval_text(
    lines: Mapping[str, Sequence[Point]], spans: Mapping[str, Sequence[tuple[float, float, float]]]
) -> str:
    """What is drawn around the lines, and whether some of it is cut."""
    if not any(spans.values()):
        return ""
    whole = {line: spans_of(points, None) for line, points in lines.items()}
    cut = ", cut where the figure cannot be" if whole != spans else ""
    return f"Around them the 95 % interval of the mean (Student's t){cut}."
