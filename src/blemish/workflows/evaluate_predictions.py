"""Measuring any tool's predictions: the files and the report are those of `evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blemish.errors import refused_as_wrong_use
from blemish.evaluation.evidence import with_evidence
from blemish.evaluation.operating_point import parse_rule
from blemish.evaluation.predictions import Judgement, evaluate_predictions, read_predictions
from blemish.evaluation.run import notes_on_groups
from blemish.folder_lock import locks_out
from blemish.progress import Reporter
from blemish.workflows.evaluation_writer import EvaluationResult, data_context, write_evaluation
from blemish.workflows.reading import read_dataset


@locks_out
def evaluate_file(
    file: Path,
    data: Path,
    out: Path,
    *,
    split: str,
    judgement: Judgement,
    command: str,
    skip_broken: bool = False,
    quiet: bool = False,
) -> EvaluationResult:
    """Measure a file or folder of predictions on a split.

    command: the user's call, for the report; skip_broken: see `evaluate.evaluate_bundles`
    Raises WrongUseError for an unknown rule, BlemishError for predictions that do not fit the data.
    """
    if judgement.rule is not None:
        with refused_as_wrong_use():
            parse_rule(judgement.rule)
    reporter = Reporter(quiet=quiet)
    dataset = read_dataset(data, reporter, skip_broken=skip_broken)
    predictions = read_predictions(file, dataset, data=data, split=split)
    evaluation, notes = evaluate_predictions(predictions, dataset, split, judgement, reporter)
    notes += notes_on_groups(dataset.split(split))
    for note in notes:
        reporter.line(f"note: {note}")
    evaluation = with_evidence(evaluation, dataset.split("train"))
    context = replace(
        data_context(dataset.split(split), data, command),
        title=f"{file.name} on {dataset.root.name}",
        method=predictions.kind,
        predictions=str(file),
        notes=notes,
    )
    return write_evaluation(out, evaluation, context, split=split)
