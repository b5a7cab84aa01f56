"""Report of an evaluation: an HTML file with its images, charts and style inside, and no script.

All content comes from the evaluation and its context; absent parts are left out, or named as absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from blemish.evaluation.defects import MATCH_IOU
from blemish.evaluation.image import is_decided, is_defective
from blemish.evaluation.label_issues import label_issues
from blemish.evaluation.records import Curve, Evaluation, ImageRecord
from blemish.evaluation.report import tables, words
from blemish.evaluation.report.cases import Case, choose_cases
from blemish.evaluation.report.charts import line_chart, score_histogram
from blemish.evaluation.report.context import ReportContext
from blemish.evaluation.report.images import CaseImages, case_images
from blemish.files import write_atomically
from blemish.inspection import Verdict

MAX_LISTED = 50  # names in a list of files
MAX_CURVES = 12
MAX_ISSUES = 12
# Sentences for a row without cases, where defects have places, and where images are only labelled.
ABSENT = {
    "miss": "No annotated defect was missed.",
    "alarm": "There were no false alarms.",
    "hit": "No found defect overlaps an annotated one.",
}
ABSENT_OF_LABELS = {
    "miss": "No defective part passed.",
    "alarm": "Nothing was found on a good part.",
    "hit": "No defective part was rejected.",
}
CURVE_ORDER = ("threshold", "precision-recall", "iou", "roc")


@dataclass(frozen=True)
class CaseView:
    """A case with its images, its facts as (name, value) pairs, and perhaps a sentence."""

    name: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    images: CaseImages
    sentence: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawn curve and its caption."""

    title: str
    chart: Markup


@dataclass(frozen=True)
class KeyFigure:
    """A key figure: its value as text, its name, and its meaning in a line."""

    value: str
    name: str
    meaning: str


def write_report(path: Path, evaluation: Evaluation, context: ReportContext) -> None:
    """Write the report to `path`, whole or not at all."""
    write_atomically(path, render_report(evaluation, context))


def render_report(evaluation: Evaluation, context: ReportContext) -> str:
    """HTML text of the report; images are read from the records' files."""
    metrics = evaluation.metrics
    return template().render(
        context=context,
        metrics=metrics,
        point=metrics.get("operating_point") or {},
        headline=words.headline(metrics),
        key_figures=key_figures(metrics),
        figures=figures(evaluation, context),
        settings=words.flattened(context.settings),
        all_metrics=words.flattened(metrics),
        max_listed=MAX_LISTED,
        style=style(),
        **verdict_view(evaluation),
        **cases_view(evaluation.records),
        **label_issues_view(evaluation),
        **classes_view(evaluation),
        stages=tables.stage_times(evaluation.records),
        slowest=tables.slowest_images(evaluation.records),
    )


def verdict_view(evaluation: Evaluation) -> dict[str, Any]:
    """Template values of the section on verdicts."""
    inspections = [record.inspection for record in evaluation.records]
    return {
        "verdicts": tables.verdict_rows(evaluation.records),
        "errors": [(each.image, each.error or "") for each in inspections if each.verdict is Verdict.ERROR],
        "histogram": histogram(evaluation),
    }


def cases_view(records: Sequence[ImageRecord]) -> dict[str, Any]:
    """Template values of the section on cases: title, kind, total number and case views of each row."""
    chosen = choose_cases(records)
    placed = any(record.truth for record in records)
    only_labelled = not placed and any(is_defective(record) for record in records)
    rows = (
        ("Worst misses", "miss", chosen.misses_total, chosen.misses),
        ("Worst false alarms", "alarm", chosen.false_alarms_total, chosen.false_alarms),
        ("Typical hits", "hit", None, chosen.hits),
    )
    return {
        "sections": [(title, kind, n, [case_view(case) for case in cases]) for title, kind, n, cases in rows],
        "absent": ABSENT_OF_LABELS if only_labelled else ABSENT,
        "heated": any(record.heat is not None for record in records),
    }


def label_issues_view(evaluation: Evaluation) -> dict[str, Any]:
    """Template values of the section on label issues: their number, and case views of the first."""
    found = label_issues(evaluation)
    shown = [
        replace(case_view(Case(issue.record, issue.truth, issue.found)), sentence=issue.sentence)
        for issue in found[:MAX_ISSUES]
    ]
    return {"disputed": shown, "disputed_total": len(found)}


def classes_view(evaluation: Evaluation) -> dict[str, Any]:
    """Template values of the section on classes of defects."""
    metrics, records = evaluation.metrics, evaluation.records
    return {
        "matched": MATCH_IOU,
        "kinds": tables.kind_rows(records),
        "confusion": tables.confusion_table((metrics.get("type") or {}).get("confusion")),
        "average_precision": (metrics.get("detection") or {}).get("ap50") or {},
        "measures": tables.measure_rows(records),
    }


@lru_cache
def template(name: str = "template.html.j2") -> Template:
    """Template of a report by its file name."""
    loader = PackageLoader("blemish.evaluation.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": words.number, "percent": words.percent, "duration": words.duration}
    return environment.get_template(name)


def style() -> Markup:
    """Content of style.css."""
    return Markup((Path(__file__).parent / "style.css").read_text(encoding="utf-8"))


KEY_FIGURES: tuple[tuple[str, str, str, str], ...] = (
    (
        "image",
        "auroc",
        "Image AUROC",
        "how well scores separate good from defective parts; 1 is perfect, 0.5 is chance",
    ),
    (
        "defect",
        "recall_at_30",
        "Defects found",
        f"share of annotated defects found with an IoU of at least {MATCH_IOU}",
    ),
    (
        "defect",
        "precision_at_30",
        "Findings correct",
        "share of findings that overlap an annotated defect that much",
    ),
    (
        "defect",
        "recall_at_50",
        "Defects found",
        "share of annotated defects found with an IoU of at least 0.5",
    ),
    (
        "defect",
        "precision_at_50",
        "Findings correct",
        "share of findings that overlap an annotated defect that much",
    ),
    ("defect", "mean_iou", "Mean IoU", "overlap of found and annotated defects; 1 is identical"),
    ("defect", "ar", "AR", "average recall: twice the mean IoU in excess of 0.5; 1 is perfect"),
    ("pixel", "f1", "Pixel F1", "balance of missed and wrongly marked defect pixels"),
    ("type", "accuracy", "Class correct", "share of located defects that got the right class"),
    (
        "severity",
        "spearman",
        "Severity order",
        "rank correlation of severity with known contrast; 1 is perfect",
    ),
    (
        "pointing",
        "all",
        "Heat on target",
        "share of marked defective parts whose hottest pixel lies on a marked defect",
    ),
    ("detection", "map50", "mAP 50", "mean average precision of boxes at IoU 0.5"),
    ("detection", "map50_95", "mAP 50–95", "mean average precision of boxes, mean over IoU 0.5 to 0.95"),
)


def key_figures(metrics: Mapping[str, Any]) -> list[KeyFigure]:
    """The most important figures that were measured; of equal titles, the first."""
    found: dict[str, KeyFigure] = {}
    for part, name, title, meaning in KEY_FIGURES:
        value = (metrics.get(part) or {}).get(name)
        if value is not None:
            found.setdefault(title, KeyFigure(words.number(value), title, meaning))
    seconds = metrics.get("seconds_per_image")
    if seconds is not None:
        found["time"] = KeyFigure(
            words.duration(seconds), "Per image", "from file to list of defects, on average"
        )
    return list(found.values())


def histogram(evaluation: Evaluation) -> Markup | None:
    """Histogram of the image scores with both thresholds; None without a score."""
    point = evaluation.metrics.get("operating_point") or {}
    scored = [(r.inspection.score, is_defective(r)) for r in evaluation.records if is_decided(r)]
    return score_histogram(
        [score for score, defective in scored if score is not None and not defective],
        [score for score, defective in scored if score is not None and defective],
        review_threshold=point.get("review_threshold"),
        threshold=point.get("threshold"),
    )


def figures(evaluation: Evaluation, context: ReportContext) -> list[Figure]:
    """Curves of the report: the validation sweep, then the evaluation's own, then the training's."""
    curves: list[Curve] = [] if context.threshold_sweep is None else [context.threshold_sweep]
    rest = [name for name in evaluation.curves if name not in CURVE_ORDER]
    names = [*(name for name in CURVE_ORDER if name in evaluation.curves), *rest]
    curves += [evaluation.curves[name] for name in names[:MAX_CURVES]]
    drawn = [(curve.title, line_chart(curve)) for curve in curves]
    if context.training is not None:
        drawn.append((context.training.title, line_chart(context.training, logarithmic=True)))
    return [Figure(title, chart) for title, chart in drawn if chart is not None]


def case_view(case: Case) -> CaseView:
    """A case with its images and facts."""
    record = case.record
    return CaseView(record.sample.id, str(record.inspection.verdict), tuple(facts(case)), case_images(case))


def facts(case: Case) -> list[tuple[str, str]]:
    """Facts of a case for its caption, in pairs of name and value."""
    inspection = case.record.inspection
    pairs: list[tuple[str, str]] = []
    if case.truth is not None:
        pairs.append(("annotated", case.record.truth[case.truth].label))
    elif case.found is None and case.record.sample.annotations:
        pairs.append(("annotated", ", ".join(sorted({a.label for a in case.record.sample.annotations}))))
    if inspection.score is not None:
        spread = "" if inspection.spread is None else f" ± {inspection.spread:.2f}"
        pairs.append(("score", f"{words.number(float(inspection.score))}{spread}"))
    if case.found is not None:
        found = inspection.defects[case.found]
        pairs.append(("found", f"{found.label} ({found.confidence:.2f})"))
        pairs += [("severity", f"{found.severity_max:.1f}")] if found.severity_max is not None else []
        pairs += [("size", found.size_text)] if found.mm_per_px else []
    if case.iou is not None:
        pairs.append(("IoU", f"{case.iou:.2f}"))
    pairs += [("grade", inspection.grade)] if inspection.grade else []
    pairs += [("why", inspection.reasons[0])] if inspection.reasons else []
    return pairs
