"""Files of an evaluation, whoever gave the answers, and what its report says of the data and the machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.samples import Dataset
from blemish.evaluation.evaluator import metrics_json
from blemish.evaluation.evidence import summary_lines
from blemish.evaluation.label_issues import label_issues_json
from blemish.evaluation.records import Evaluation
from blemish.evaluation.report import ReportContext, write_report
from blemish.files import write_atomically
from blemish.provenance import provenance


@dataclass(frozen=True)
class EvaluationResult:
    """A finished evaluation.

    metrics: as in metrics.json; report: path of report.html
    figures: lines with the figures that matter, then the warnings
    """

    metrics: Mapping[str, Any]
    report: Path
    figures: tuple[str, ...]


def write_evaluation(
    out: Path, evaluation: Evaluation, context: ReportContext, *, split: str
) -> EvaluationResult:
    """Write metrics.json, disputed.json and report.html to the folder. split: that was measured"""
    if context.skipped:
        metrics_of_rest = {**evaluation.metrics, "skipped": dict(context.skipped)}
        evaluation = replace(evaluation, metrics=metrics_of_rest)
    metrics = metrics_json(evaluation)
    write_atomically(out / "metrics.json", metrics)
    write_atomically(out / "disputed.json", label_issues_json(evaluation))
    write_report(out / "report.html", evaluation, context)
    figures = summary_lines(evaluation.metrics, f"split '{split}', {len(evaluation.records)} images")
    return EvaluationResult(json.loads(metrics), out / "report.html", tuple(figures))


def data_context(dataset: Dataset, data: Path, command: str) -> ReportContext:
    """Report context of the data, the command and the machine. data: the path as the user gave it"""
    made = provenance()
    return ReportContext(
        title=dataset.root.name,
        dataset_root=str(data),
        dataset_counts=dataset.splits,
        dataset_layout=dataset.layout,
        dataset_reason=dataset.reason,
        data_fingerprint=fingerprint(dataset),
        skipped=dataset.skipped,
        command=command,
        created=made["created"],
        hardware=made["hardware"],
        versions={name: made[name] for name in ("blemish", "commit", "python", "torch") if made[name]},
    )
