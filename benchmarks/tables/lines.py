"""The printed lines of a table and the figures behind them, from stored results alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.tables.by_image import BY_IMAGE, difference_over_images
from benchmarks.tables.results import Result
from benchmarks.tables.schema import Column, Experiment, TableRow
from blemish.evaluation.cross_validated import (
    FoldScores,
    cross_validated_auroc,
    cross_validated_difference,
)
from blemish.evaluation.fewshot import Interval, paired_difference

JUDGED = "judged"  # where a cross-validated row's figures hold each image's score, as of `FoldScores`
FOLDS_PATH = "image.auroc"  # the figure that has an interval over folds
ADAPTATION = "adaptation"  # where a row's figures hold the results on its validation images
EACH_CLASS = ".*"  # in a column's path


@dataclass(frozen=True)
class Line:
    """A printed line of ours: a row, on one device where there are several, with a result for each seed."""

    row: TableRow
    device: str | None
    results: tuple[Result, ...]

    @property
    def is_few_shot(self) -> bool:
        return self.row.traits.source == "draw"

    @property
    def is_cross_validated(self) -> bool:
        return bool(self.results) and all(JUDGED in result.figures for result in self.results)

    @property
    def label(self) -> str:
        return f"{self.row.label} ({self.device.upper()})" if self.device else self.row.label


def lines_of(experiment: Experiment, results: Sequence[Result]) -> list[Line]:
    """The lines to print, in the order of the experiment's rows."""
    lines = []
    for row in experiment.rows:
        own = sorted(
            (result for result in results if result.row == row.name), key=lambda result: result.seed or 0
        )
        devices = sorted({result.device or "" for result in own}) or [""]
        lines += [
            Line(row, device or None, tuple(result for result in own if (result.device or "") == device))
            for device in devices
        ]
    return lines


def columns_of(experiment: Experiment, results: Sequence[Result]) -> list[Column]:
    """The columns to print: one that stands for every class is replaced by one a class, common ones first."""
    columns: list[Column] = []
    for column in experiment.columns:
        stem, each, rest = column.path.partition(EACH_CLASS)
        if not each:
            columns.append(column)
            continue
        rare = experiment.classes.rare if experiment.classes else ()
        named = dict.fromkeys(name for result in results for name in found(result, stem) or ())
        for name in sorted(named, key=rare.__contains__):
            heading = f"{name}, rare" if name in rare else name
            columns.append(column.model_copy(update={"path": f"{stem}.{name}{rest}", "heading": heading}))
    return columns


def found(result: Result, path: str) -> Any:
    """The figure that a dotted path leads to; None where nothing is."""
    return value_at(result.figures, path)


RENAMED = {"outliner": "segmenter", "namer": "detector"}  # stages of a chain, in rows stored earlier
RENAMED |= {new: old for old, new in RENAMED.items()}


def value_at(value: Any, path: str) -> Any:
    """The value at a dotted path in nested figures, under its name of today or in rows stored earlier.

    A name may hold a dot itself, as that of a class.
    """
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    if path in RENAMED:
        return value.get(RENAMED[path])
    first, _, rest = path.partition(".")
    return value_at(value.get(first), rest) if rest else None


def values_of(line: Line, path: str) -> list[Any]:
    return [value for result in line.results if (value := found(result, path)) is not None]


def difference(line: Line, other: Line, column: Column) -> Interval | None:
    """A figure's difference between two few-shot rows, over the support draws that both have; between two
    cross-validated ones over the repeats that both have; over test images where the column is paired so.
    """
    path = column.path
    if column.paired == "images":
        return difference_by_image(line, other, path)
    if path == FOLDS_PATH and line.is_cross_validated and other.is_cross_validated:
        return difference_over_folds(line, other)
    ours, theirs = by_draw(line, path), by_draw(other, path)
    both = ours.keys() & theirs.keys()
    if not both:
        return None
    return paired_difference({str(key): ours[key] for key in both}, {str(key): theirs[key] for key in both})


def difference_over_folds(line: Line, other: Line) -> Interval | None:
    """Difference of the AUROCs of two cross-validated rows, over the repeats that both have."""
    ours, theirs = ({result.seed: result for result in own.results} for own in (line, other))
    both = [seed for seed in ours if seed in theirs]
    if not both:
        return None
    pairs = [[fold_scores(results[seed]) for seed in both] for results in (ours, theirs)]
    return cross_validated_difference(*pairs)


def difference_by_image(line: Line, other: Line, path: str) -> Interval | None:
    """Difference of two rows on the same test images, over the seeds that both have."""
    ours, theirs = (
        {result.seed: stored for result in own.results if (stored := result.figures.get(BY_IMAGE))}
        for own in (line, other)
    )
    both = [seed for seed in ours if seed in theirs]
    if not both:
        return None
    first, second = ([stored[seed] for seed in both] for stored in (ours, theirs))
    return difference_over_images(first, second, path)


def interval_over_folds(line: Line) -> Interval:
    """AUROC of a cross-validated row, mean over folds and repeats, and its 95 % interval."""
    return cross_validated_auroc([fold_scores(result) for result in line.results])


def fold_scores(result: Result) -> FoldScores:
    """Scores of the images as a cross-validated row stores them."""
    return FoldScores(**result.figures[JUDGED])


def by_draw(line: Line, path: str) -> dict[str | None, float]:
    """The line's figure by the digest of the draw, else by the seed; by None where a row has neither."""
    return {
        found(result, "draw.digest") or (None if result.seed is None else str(result.seed)): float(value)
        for result in line.results
        if isinstance(value := found(result, path), int | float)
    }


def with_reached(experiment: Experiment, results: Sequence[Result]) -> list[Result]:
    """The results; those of a row with `reach` also with figures "reached" where both rows are stored.

    They say when the row's training first was as good as the other row's in the end, seed by seed: the first
    validation with at least the value that the other row's final state has. Recall alone is also reached by
    calling everything defective, so every other measure of that validation stands beside it.
    Source: MeDetection, Fig. 4 and Table 3.
    """
    stored = {(result.row, result.seed): result for result in results}
    reach = {row.name: row.reach for row in experiment.rows if row.reach}
    found = []
    for result in results:
        other = stored.get((reach.get(result.row, ""), result.seed))
        own, last = result.figures.get(ADAPTATION), other.figures.get(ADAPTATION) if other else None
        figures = {**result.figures, "reached": first_reached(own, last)} if own and last else result.figures
        found.append(result.model_copy(update={"figures": figures}))
    return found


def first_reached(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """By measure: the final value of `other`, and step and epoch of the first validation of `own` with it.

    own, other: {"best_step", "steps_of_epoch", "looks": [{"step", measures…}, …]}
    Step and epoch are infinite where none has it; "yes" is 1 or 0.
    """
    final = next(result for result in other["looks"] if result["step"] == other["best_step"])
    found = {}
    for measure, value in final.items():
        if measure == "step":
            continue
        step = next((result["step"] for result in own["looks"] if result[measure] >= value), math.inf)
        epochs = step / own["steps_of_epoch"]
        found[measure] = {"value": value, "step": step, "epochs": epochs, "yes": float(math.isfinite(step))}
    return found
