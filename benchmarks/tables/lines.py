"""The printed lines of a table and the figures behind them, from stored results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.tables.experiment import OF_DRAW, Column, Experiment, Row
from benchmarks.tables.results import Result
from blemish.evaluation.fewshot import Interval, paired_difference

EACH_CLASS = ".*"  # end of a column's path


@dataclass(frozen=True)
class Line:
    """One printed line of ours: a row, on one device where there are several, with a result for each seed."""

    row: Row
    device: str | None
    results: tuple[Result, ...]

    @property
    def label(self) -> str:
        return f"{self.row.label} ({self.device.upper()})" if self.device else self.row.label


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


def columns_of(experiment: Experiment, results: Sequence[Result]) -> list[Column]:
    """The columns to print: one that stands for every class is replaced by one a class, common ones first."""
    columns: list[Column] = []
    for column in experiment.columns:
        if not column.path.endswith(EACH_CLASS):
            columns.append(column)
            continue
        stem = column.path.removesuffix(EACH_CLASS)
        rare = experiment.classes.rare if experiment.classes else ()
        named = dict.fromkeys(name for result in results for name in found(result, stem) or ())
        for name in sorted(named, key=rare.__contains__):
            heading = f"{name}, rare" if name in rare else name
            columns.append(column.model_copy(update={"path": f"{stem}.{name}", "heading": heading}))
    return columns


def found(result: Result, path: str) -> Any:
    """What the dotted path leads to in the figures; None where nothing is."""
    return reached(result.figures, path)


RENAMED = {"outliner": "segmenter", "namer": "detector"}  # stages of a chain, in rows stored earlier
RENAMED |= {new: old for old, new in RENAMED.items()}


def reached(value: Any, path: str) -> Any:
    """The same in a part of the figures. A name may hold a dot itself, as that of a class."""
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    if path in RENAMED:
        return value.get(RENAMED[path])
    first, _, rest = path.partition(".")
    return reached(value.get(first), rest) if rest else None


def values_of(line: Line, path: str) -> list[Any]:
    return [value for result in line.results if (value := found(result, path)) is not None]


def difference(line: Line, other: Line, path: str) -> Interval | None:
    """A figure's difference between two few-shot rows, over the support draws that both have."""
    ours, theirs = by_draw(line, path), by_draw(other, path)
    both = ours.keys() & theirs.keys()
    if not both:
        return None
    return paired_difference({str(key): ours[key] for key in both}, {str(key): theirs[key] for key in both})


def by_draw(line: Line, path: str) -> dict[str | None, float]:
    """The line's figure by the digest of the draw, else by the seed; by None where a row has neither."""
    return {
        found(result, "draw.digest") or (None if result.seed is None else str(result.seed)): float(value)
        for result in line.results
        if isinstance(value := found(result, path), int | float)
    }


def is_few_shot(line: Line) -> bool:
    return line.row.kind in OF_DRAW
