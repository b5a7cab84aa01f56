"""A peer's predictions to the figures of a row, by the code that measures bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers import answers
from benchmarks.peers.task import AnswerKind
from benchmarks.tables.by_image import by_image
from benchmarks.tables.kinds.few_shot import group_figures, resolved_classes
from benchmarks.tables.table import Table
from blemish.dataset.samples import Dataset
from blemish.evaluation.records import Evaluation

FILES: dict[AnswerKind, str] = {"boxes": answers.BOXES, "outlines": answers.MAPS, "verdicts": answers.SCORES}


def figures_of(
    table: Table, dataset: Dataset, out: Path, kind: AnswerKind, *, few_shot: bool
) -> dict[str, Any]:
    """Figures on the test images; thresholds are chosen on the validation images.

    Raises BlemishError for predictions that are missing, of other images, or not whole.
    """
    file = out / FILES[kind]
    test = evaluated(table, dataset, file, "test")
    if not few_shot:
        return {**test.metrics, **by_image(test, dataset, table.experiment.split.by)}
    validated = evaluated(table, dataset, file, "val")
    return group_figures(table, validated.records, test.records, resolved_classes(table))


def evaluated(table: Table, dataset: Dataset, file: Path, split: str) -> Evaluation:
    """Evaluation of a peer's file as by `blemish evaluate --predictions`."""
    from blemish.evaluation.predictions import Judgement, evaluate_predictions, read_predictions

    predictions = read_predictions(file, dataset, data=dataset.root, split=split)
    evaluation, _ = evaluate_predictions(predictions, dataset, split, Judgement(), table.reporter)
    return evaluation
