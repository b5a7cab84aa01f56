"""Rows of a gray threshold; validation images only tell it which side defects are on."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from benchmarks.tables.experiment import Row, Strict
from benchmarks.tables.gray.inference import gray_inspector
from benchmarks.tables.place import Table
from blemish.evaluation.run import evaluate_samples, split_to_evaluate
from blemish.training.run import with_validation


class GraySettings(Strict):
    """join_distance: pixels; clusters nearer than this are one defect, as in the method compared with"""

    join_distance: float = Field(4.0, ge=0)


def gray_row(table: Table, row: Row) -> dict[str, Any]:
    """The figures of a threshold by the criterion that the row's kind names, on the test images."""
    settings = GraySettings.model_validate(row.settings)
    validation = with_validation(table.dataset, 0, table.reporter).split("val")
    inspector = gray_inspector(row.kind, validation, join_distance=settings.join_distance)
    chosen = split_to_evaluate(table.dataset, "test")
    evaluator = evaluate_samples(inspector, chosen, table.reporter, title=f"{row.kind} on the test images")
    return dict(evaluator.result(method=row.kind, split="test", seed=None).metrics)
