"""Report of an evaluation: an HTML file with its images, charts and style inside, and no script.

All content comes from the evaluation and its context; absent parts are left out, or named as absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from blemish.evaluation.defects import MATCH_IOU
from blemish.evaluation.image import is_decided, is_defective
from blemish.evaluation.label_issues import LabelIssue, label_issues
from blemish.evaluation.records import Curve, Evaluation
from blemish.evaluation.report import tables, words
from blemish.evaluation.report.cases import Case, choose_cases
from blemish.evaluation.report.charts import line_chart, score_histogram
from blemish.evaluation.report.context import ReportContext
from blemish.evaluation.report.glossary import TERMS, anchor, explained, unbroken
from blemish.evaluation.report.heat_chart import heat_chart
from blemish.evaluation.report.images import CaseImages, case_images
from blemish.files import write_atomically
from blemish.inspection import Verdict

MAX_LISTED = 50  # names in a list of files
MAX_CURVES = 12
MAX_ISSUES = 12
# Sentences for a row without cases, where defects have places, and where images are only labelled.
ABSENT = {
    "passed": "No defective part passed.",
    "miss": "On the parts that were caught, every annotated defect was found.",
    "alarm": "There were no false alarms.",
    "hit": "No found defect overlaps an annotated one.",
}
ABSENT_OF_LABELS = {
    **ABSENT,
    "miss": "The places of defects are not annotated.",
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
        warnings=(metrics.get("summary") or {}).get("warnings", ()),
        terms={anchor(term): (term, meaning) for term, meaning in TERMS.items()},
        key_figures=key_figures(metrics),
        figures=figures(evaluation, context),
        settings=words.flattened(context.settings),
        all_metrics=words.flattened(metrics),
        max_listed=MAX_LISTED,
        style=style(),
        **verdict_view(evaluation),
        **cases_view(evaluation),
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


def cases_view(evaluation: Evaluation) -> dict[str, Any]:
    """Template values of the sections on cases and on label issues.

    A case that is both is shown once, with its sentence.
    sections: title, kind, total number and views of a row
    """
    records = evaluation.records
    chosen, issues = choose_cases(records), label_issues(evaluation)
    sentences = {place_of(issue): issue.sentence for issue in issues}
    placed = any(record.truth for record in records)
    only_labelled = not placed and any(is_defective(record) for record in records)
    rows = (
        ("Defects that passed, on parts called OK", "passed", chosen.passed_total, chosen.passed),
        ("Defects not found, on parts that were caught", "miss", chosen.misses_total, chosen.misses),
        ("Worst false alarms", "alarm", chosen.false_alarms_total, chosen.false_alarms),
        ("Typical hits", "hit", None, chosen.hits),
    )
    above = {place_of(case) for *_, cases in rows for case in cases}
    rest = [issue for issue in issues if place_of(issue) not in above]
    return {
        "sections": [
            (title, kind, n, [case_view(case, sentences.get(place_of(case), "")) for case in cases])
            for title, kind, n, cases in rows
        ],
        "absent": ABSENT_OF_LABELS if only_labelled else ABSENT,
        "limited": any(record.inspection.under_limit for record in records),
        "heated": any(record.heat is not None for record in records),
        "disputed": [
            case_view(Case(issue.record, issue.truth, issue.found), issue.sentence)
            for issue in rest[:MAX_ISSUES]
        ],
        "disputed_total": len(issues),
        "disputed_above": len(issues) - len(rest),
    }


def place_of(case: Case | LabelIssue) -> tuple[str, int | None, int | None]:
    """Key of a case: its image, annotated and found defect."""
    return case.record.sample.id, case.truth, case.found


def classes_view(evaluation: Evaluation) -> dict[str, Any]:
    """Template values of the section on classes of defects."""
    metrics, records = evaluation.metrics, evaluation.records
    average_precision = (metrics.get("detection") or {}).get("ap50") or {}
    names = {*((metrics.get("defect") or {}).get("classes") or {}), *average_precision}
    kinds = tables.kind_rows(records, names)
    named = metrics.get("type") is not None
    return {
        "matched": MATCH_IOU,
        # Without classes, what is found bears a name that no annotation has.
        "kinds": [row for row in kinds if named or row.passed.of or row.located.of or row.name in names],
        "confusion": tables.confusion_table((metrics.get("type") or {}).get("confusion")),
        "average_precision": average_precision,
        "measures": tables.measure_rows(records),
    }


@lru_cache
def template(name: str = "template.html.j2") -> Template:
    """Template of a report by its file name."""
    loader = PackageLoader("blemish.evaluation.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": words.number, "percent": unbroken_percent, "duration": words.duration}
    environment.filters["explained"] = explained
    return environment.get_template(name)


def unbroken_percent(share: float | None) -> str:
    """A share as `words.percent` has it, on one line."""
    return unbroken(words.percent(share))


def style() -> Markup:
    """Content of style.css."""
    return Markup((Path(__file__).parent / "style.css").read_text(encoding="utf-8"))


# Part and name in metrics.json, title, meaning, and whether it is a share to be told in per cent.
KEY_FIGURES: tuple[tuple[str, str, str, str, bool], ...] = (
    ("image", "auroc", "Image AUROC", "1 is perfect, 0.5 is chance", False),
    ("defect", "recall_at_30", "Defects found", f"with an IoU of at least {MATCH_IOU}", True),
    ("defect", "precision_at_30", "Findings correct", "overlap an annotated defect that much", True),
    ("defect", "recall_at_50", "Defects found", "with an IoU of at least 0.5", True),
    ("defect", "precision_at_50", "Findings correct", "overlap an annotated defect that much", True),
    ("defect", "mean_iou", "Mean IoU", "overlap of found and annotated defects; 1 is identical", False),
    ("defect", "ar", "AR", "average recall; 1 is perfect", False),
    ("pixel", "f1", "Pixel F1", "balance of missed and wrongly marked defect pixels", False),
    ("type", "accuracy", "Class correct", "of the located defects", True),
    ("severity", "spearman", "Severity order", "rank correlation with known contrast; 1 is perfect", False),
    ("pointing", "all", "Heat on target", "marked parts whose hottest pixel is on a marked defect", True),
    ("detection", "map50", "mAP 50", "mean average precision of boxes at IoU 0.5", False),
    ("detection", "map50_95", "mAP 50–95", "of boxes, mean over IoU 0.5 to 0.95", False),
)


def key_figures(metrics: Mapping[str, Any]) -> list[KeyFigure]:
    """The most important figures that were measured; of equal titles, the first."""
    found: dict[str, KeyFigure] = {}
    for part, name, title, meaning, is_share in KEY_FIGURES:
        value = (metrics.get(part) or {}).get(name)
        if value is not None:
            text = words.percent(value) if is_share else words.number(value)
            interval = words.interval_clause(metrics[part]).strip(" ()") if part == "image" else ""
            found.setdefault(title, KeyFigure(text, title, "; ".join(filter(None, (interval, meaning)))))
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
    """Curves of the report: of the validation images, then the evaluation's own, then the training's."""
    chosen = (context.threshold_sweep, context.region_areas)
    curves: list[Curve] = [curve for curve in chosen if curve is not None]
    rest = [name for name in evaluation.curves if name not in CURVE_ORDER]
    names = [*(name for name in CURVE_ORDER if name in evaluation.curves), *rest]
    curves += [evaluation.curves[name] for name in names[:MAX_CURVES]]
    drawn = [(curve.title, line_chart(curve)) for curve in curves]
    if context.region_surface is not None:
        drawn.insert(1, (context.region_surface.title, heat_chart(context.region_surface)))
    if context.training is not None:
        drawn.append((context.training.title, line_chart(context.training, logarithmic=True)))
    return [Figure(title, chart) for title, chart in drawn if chart is not None]


def case_view(case: Case, sentence: str = "") -> CaseView:
    """A case with its images and facts. sentence: of the label issue that it is as well"""
    record = case.record
    verdict = str(record.inspection.verdict)
    return CaseView(record.sample.id, verdict, tuple(facts(case)), case_images(case), sentence)


def iou_text(case: Case) -> str:
    """IoU of a case, rounded down, and why one that is large enough is no match."""
    assert case.iou is not None
    text = f"{math.floor(100 * case.iou) / 100:.2f}"
    if case.truth is not None and case.found is not None:
        return text
    if case.iou < MATCH_IOU:
        return f"{text} < {MATCH_IOU}"
    other = "a finding that counts for another defect" if case.found is None else "a defect found already"
    return f"{text} with {other}"


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
        pairs.append(("IoU", iou_text(case)))
    if inspection.under_limit:
        surest = max(inspection.under_limit, key=lambda finding: finding.confidence)
        number = len(inspection.under_limit)
        text = f"{surest.label} ({surest.confidence:.2f})"
        pairs.append(("under the limit", text if number == 1 else f"{number}, surest {text}"))
    pairs += [("grade", inspection.grade)] if inspection.grade else []
    pairs += [("why", inspection.reasons[0])] if inspection.reasons else []
    return pairs
