"""The line charts beside a table, from its stored results alone: means over seeds and their 95 % intervals.

Source of those by epochs: MeDetection, Fig. 4, where a line is one training. Deviation: ours can end early,
and then have their best value from then on, as that is the state that is kept.
"""

from __future__ import annotations

import io
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from benchmarks.tables.experiment import PLACE, row_name
from benchmarks.tables.line_chart import LineChart
from benchmarks.tables.lines import ADAPTATION, found
from benchmarks.tables.results import Result
from benchmarks.tables.row_kind import require_packages
from benchmarks.tables.schema import Experiment
from blemish.errors import BlemishError
from blemish.evaluation.fewshot import Interval, mean_interval
from blemish.files import write_atomically

WHISKERS = 8  # points up to which intervals are whiskers, and each point is marked; beyond, bands
STYLE: Any = {  # letters stay text, and ids do not change from one drawing to the next
    "svg.fonttype": "none",
    "svg.hashsalt": "blemish",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}

ByRow = Mapping[str, Sequence[Result]]
Span = tuple[float, float, float]  # x, and the ends of an interval of y


@dataclass(frozen=True)
class ChartPoint:
    x: float
    y: Interval


@dataclass(frozen=True)
class Chart:
    """A chart with figures. lines, spans: points and intervals by the name of their line

    caption: what its lines and intervals are, for the page that shows it
    """

    of: LineChart
    lines: Mapping[str, Sequence[ChartPoint]]
    spans: Mapping[str, Sequence[Span]]
    caption: str

    @property
    def markdown(self) -> str:
        return f"![{self.of.title}]({self.of.file})\n\n*{self.of.title}. {self.caption}*"


@dataclass(frozen=True)
class ValidationCurve:
    """A measure on the validation images while one training went on.

    epochs: ascending; values: as many; final: the value of the state that training ended with
    """

    epochs: tuple[float, ...]
    values: tuple[float, ...]
    final: float

    def at(self, epoch: float) -> float:
        """The last value until then; after the last of all the final one."""
        if epoch > self.epochs[-1]:
            return self.final
        return self.values[bisect_right(self.epochs, epoch) - 1]


def write_charts(folder: Path, experiment: Experiment, results: Sequence[Result]) -> None:
    """Write each chart that something was measured for into the table's folder.

    Raises BlemishError where one is to be drawn and matplotlib is not installed.
    """
    for chart in charts_of(experiment, results):
        write_atomically(folder / chart.of.file, drawn(chart))


def drawn(chart: Chart) -> str:
    """The chart as an SVG file, byte by byte the same for the same figures."""
    require_packages({"matplotlib": "matplotlib"}, f"Drawing {chart.of.file}")
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 4.5), layout="constrained")
        axes = figure.add_subplot(title=chart.of.title, xlabel=chart.of.x_name, ylabel=chart.of.y_name)
        for number, (name, points) in enumerate(chart.lines.items()):
            colour, x = f"C{number}", [point.x for point in points]
            few, spans = len(points) <= WHISKERS, chart.spans[name]
            axes.plot(x, [point.y.mean for point in points], "o-" if few else "-", color=colour, label=name)
            places, low, high = zip(*spans, strict=True) if spans else ((), (), ())
            if few:
                axes.vlines(places, low, high, color=colour, alpha=0.7)
            else:
                axes.fill_between(places, low, high, color=colour, alpha=0.16, linewidth=0)
        if chart.of.setting:
            axes.set_xticks(sorted({point.x for points in chart.lines.values() for point in points}))
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.legend()
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def charts_of(experiment: Experiment, results: Sequence[Result]) -> list[Chart]:
    """The charts that something was measured for; for rows about products one for each of these."""
    by_row: dict[str, list[Result]] = {}
    for result in results:
        by_row.setdefault(result.row, []).append(result)
    drawn = [
        chart_of(chart, experiment, by_row)
        for curve in experiment.curves
        for chart in for_each_target(curve, experiment)
    ]
    return [chart for chart in drawn if chart is not None]


def for_each_target(curve: LineChart, experiment: Experiment) -> list[LineChart]:
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


def chart_of(curve: LineChart, experiment: Experiment, by_row: ByRow) -> Chart | None:
    """The chart and what to say under it; None where nothing is measured."""
    if curve.look:
        lines, remark = lines_by_epoch(curve, by_row)
    else:
        lines, remark = lines_by_setting(curve, experiment, by_row), ""
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    spans = {name: spans_of(points, curve.limits) for name, points in lines.items()}
    few_shot = any(row.name in curve.row_names and row.traits.source == "draw" for row in experiment.rows)
    caption = [means_text(lines, "draws" if few_shot else "seeds"), interval_text(lines, spans), remark]
    return Chart(curve, lines, spans, " ".join(text for text in caption if text))


def lines_by_setting(curve: LineChart, experiment: Experiment, by_row: ByRow) -> dict[str, list[ChartPoint]]:
    """A point for each row that is measured and whose figures are all finite, by rising setting; of a level
    one at each place that the lines have.
    """
    settings = {row.name: {**experiment.settings, **row.settings} for row in experiment.rows}
    lines: dict[str, list[ChartPoint]] = {}
    for line, names in curve.lines.items():
        values = {name: numbers(curve, by_row.get(name, ())) for name in names}
        points = [
            ChartPoint(settings[name][curve.setting or ""], mean_interval(figures))
            for name, figures in values.items()
            if figures and all(math.isfinite(value) for value in figures)
        ]
        lines[line] = sorted(points, key=lambda point: point.x)
    places = sorted({point.x for points in lines.values() for point in points})
    for level, name in curve.levels.items():
        figures = numbers(curve, by_row.get(name, ()))
        finite = bool(figures) and all(math.isfinite(value) for value in figures)
        lines[level] = [ChartPoint(place, mean_interval(figures)) for place in places] if finite else []
    return lines


def numbers(curve: LineChart, results: Sequence[Result]) -> list[float]:
    """The column's figures. Raises BlemishError for one that is no number."""
    values = [value for result in results if (value := found(result, curve.column or "")) is not None]
    for value in values:
        if not isinstance(value, int | float):
            raise BlemishError(
                f"curve {curve.file}: column '{curve.column}' must hold numbers. Received: {value!r}. "
                "Name another column."
            )
    return values


def lines_by_epoch(curve: LineChart, by_row: ByRow) -> tuple[dict[str, list[ChartPoint]], str]:
    """A line for each row, up to the last validation of all, and which trainings ended before that.

    It has the mean at every epoch at which anything of the chart was validated, once all its seeds were.
    """
    lines = {line: validation_curves(curve, by_row.get(name, ())) for line, (name,) in curve.lines.items()}
    epochs = sorted({epoch for seeds in lines.values() for seed in seeds for epoch in seed.epochs})
    drawn = {
        line: [
            ChartPoint(epoch, mean_interval([seed.at(epoch) for seed in seeds]))
            for epoch in epochs
            if all(epoch >= seed.epochs[0] for seed in seeds)
        ]
        for line, seeds in lines.items()
        if seeds
    }
    ended = {line: sum(seed.epochs[-1] < epochs[-1] for seed in seeds) for line, seeds in lines.items()}
    early = ", ".join(f"{number} of {line}" for line, number in ended.items() if number)
    return (
        drawn,
        f"Seeds that ended early ({early}) keep their best value from then on." if early else "",
    )


def validation_curves(curve: LineChart, results: Sequence[Result]) -> list[ValidationCurve]:
    """The validations of each seed that has any, as `lines.first_reached` describes them."""
    found = []
    for stored in (result.figures.get(ADAPTATION) for result in results):
        if stored:
            validations, measure = stored["looks"], curve.look or ""
            epochs = tuple(each["step"] / stored["steps_of_epoch"] for each in validations)
            final = next(each[measure] for each in validations if each["step"] == stored["best_step"])
            found.append(ValidationCurve(epochs, tuple(each[measure] for each in validations), final))
    return found


def spans_of(points: Sequence[ChartPoint], limits: tuple[float, float] | None) -> list[Span]:
    """x and the ends of the interval of each point that has one, cut where y cannot be."""
    low, high = limits or (-math.inf, math.inf)
    return [
        (point.x, max(point.y.low, low), min(point.y.high, high))
        for point in points
        if point.y.low is not None and point.y.high is not None
    ]


def means_text(lines: Mapping[str, Sequence[ChartPoint]], counted: str) -> str:
    """Of how many seeds each line is the mean, one number where all have the same."""
    ranges = {line: sorted({point.y.draws for point in points}) for line, points in lines.items()}
    texts = {
        line: "–".join(str(n) for n in dict.fromkeys((numbers_of[0], numbers_of[-1])))
        for line, numbers_of in ranges.items()
    }
    if set(texts.values()) == {"1"}:
        return f"One of the {counted} alone."
    counts = ", ".join(f"{text} ({line})" for line, text in texts.items())
    return f"Mean over {counted}: {counts if len(set(texts.values())) > 1 else next(iter(texts.values()))}."


def interval_text(lines: Mapping[str, Sequence[ChartPoint]], spans: Mapping[str, Sequence[Span]]) -> str:
    """The sentence on the intervals around the lines, which says where some are cut."""
    if not any(spans.values()):
        return ""
    whole = {line: spans_of(points, None) for line, points in lines.items()}
    cut = ", cut where the figure cannot be" if whole != spans else ""
    return f"Around them the 95 % interval of the mean (Student's t){cut}."
