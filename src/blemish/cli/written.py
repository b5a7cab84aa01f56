"""What `evaluate` writes, whoever gave the answers, and what its report says of the data and the machine."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from blemish.dataset.samples import Dataset
from blemish.files import write_atomically

if TYPE_CHECKING:
    from blemish.evaluation.records import Evaluation
    from blemish.evaluation.report import ReportContext


def write_evaluation(out: Path, evaluation: Evaluation, context: ReportContext) -> Path:
    """Write metrics.json, disputed.json and report.html; returns the report's path."""
    from blemish.evaluation.evaluator import metrics_json
    from blemish.evaluation.label_issues import label_issues_json
    from blemish.evaluation.report import write_report

    write_atomically(out / "metrics.json", metrics_json(evaluation))
    write_atomically(out / "disputed.json", label_issues_json(evaluation))
    write_report(out / "report.html", evaluation, context)
    return out / "report.html"


def data_context(dataset: Dataset, data: Path) -> ReportContext:
    """What a report shows of the data, the command and the machine. data: the path as the user gave it"""
    from blemish.dataset.fingerprint import fingerprint
    from blemish.evaluation.report import ReportContext
    from blemish.provenance import provenance

    made = provenance()
    return ReportContext(
        title=dataset.root.name,
        dataset_root=str(data),
        dataset_counts=dataset.splits,
        dataset_layout=dataset.layout,
        dataset_reason=dataset.reason,
        data_fingerprint=fingerprint(dataset),
        skipped=dataset.skipped,
        command=shlex.join(["blemish", *sys.argv[1:]]),
        created=made["created"],
        hardware=made["hardware"],
        versions={name: made[name] for name in ("blemish", "commit", "python", "torch") if made[name]},
    )
