"""What `evaluate --predictions` does, without the command line around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from blemish.cli.outcome import WrongUseError, refused_as_wrong_use
from blemish.progress import Reporter

if TYPE_CHECKING:
    from blemish.evaluation.predictions import Judgement


def evaluate_file(
    file: Path, data: Path, out: Path, *, split: str, judgement: Judgement, quiet: bool
) -> Path:
    """Measure a file of predictions on a split; writes what `evaluate` does and returns the report's path."""
    from blemish.cli.written import data_context, write_evaluation
    from blemish.dataset.layouts import load_dataset
    from blemish.evaluation.operating_point import parse_rule
    from blemish.evaluation.predictions import evaluate_predictions, read_predictions
    from blemish.evaluation.run import notes_on_groups

    if judgement.rule is not None:
        with refused_as_wrong_use():
            parse_rule(judgement.rule)
    reporter = Reporter(quiet=quiet)
    dataset = load_dataset(data)
    predictions = read_predictions(file, dataset, data=data, split=split)
    evaluation, notes = evaluate_predictions(predictions, dataset, split, judgement, reporter)
    notes += notes_on_groups(dataset.split(split))
    for note in notes:
        reporter.line(f"note: {note}")
    context = replace(
        data_context(dataset.split(split), data),
        title=f"{file.name} on {dataset.root.name}",
        method=predictions.kind,
        predictions=str(file),
        notes=notes,
    )
    return write_evaluation(out, evaluation, context)


def refuse_mixed(
    bundle: Path | None,
    predictions: Path | None,
    *,
    only_with_predictions: Mapping[str, object],
    only_with_bundle: Mapping[str, object],
) -> None:
    """Raises WrongUseError unless just one of both is given, and the options of one only with it.

    only_with_predictions, only_with_bundle: option to its value, None where it was not given
    """
    if bundle is not None and predictions is not None:
        raise WrongUseError(
            f"evaluate measures BUNDLE or --predictions. Received: {bundle} and {predictions}. Leave one out."
        )
    if bundle is None and predictions is None:
        raise WrongUseError("evaluate needs BUNDLE or --predictions FILE. Received: neither. Give one.")
    refuse_without_bundle(bundle, only_with_bundle)
    strange = [name for name, value in only_with_predictions.items() if value is not None]
    if bundle is not None and strange:
        raise WrongUseError(
            f"{strange[0]} goes with --predictions, as a bundle has its own thresholds. Received: {bundle}. "
            "Leave it out."
        )
    if {"--threshold", "--rule"} <= set(strange):
        raise WrongUseError("--threshold and --rule are two ways to the same. Received: both. Leave one out.")


def refuse_without_bundle(bundle: Path | None, options: Mapping[str, object]) -> None:
    """Raises WrongUseError for an option that only a bundle has a use for."""
    given = [name for name, value in options.items() if value is not None]
    if bundle is None and given:
        raise WrongUseError(f"{given[0]} goes with BUNDLE. Received: it with --predictions. Leave it out.")
