"""The report of an evaluation: one HTML file with its pictures, charts and style inside, and no script.

Everything shown comes from the evaluation and its context; what is absent is left out or said so in words.
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
from blemish.evaluation.image import is_defective
from blemish.evaluation.label_issues import label_issues
from blemish.evaluation.records import Curve, Evaluation, ImageRecord
from blemish.evaluation.report import tables, words
from blemish.evaluation.report.cases import Case, choose_cases
from blemish.evaluation.report.charts import line_chart, score_histogram
from blemish.evaluation.report.context import ReportContext
from blemish.evaluation.report.images import CaseImages, case_images
from blemish.files import write_atomically
from blemish.inspection import Verdict

MOST_LISTED = 50  # names in a list of files
MOST_CURVES = 12
MOST_DISPUTED = 12
# What is said where a row of pictures has none: of marked defects, and of images only labelled.
ABSENT = {
    "miss": "Nothing annotated was left untouched.",
    "alarm": "Nothing was found where nothing is annotated.",
    "hit": "Nothing found overlaps anything annotated.",
}
ABSENT_OF_LABELS = {
    "miss": "No defective part passed.",
    "alarm": "Nothing was found on a good part.",
    "hit": "No defective part was rejected.",
}
CURVE_ORDER = ("threshold", "precision-recall", "iou", "roc")


@dataclass(frozen=True)
class CaseView:
    """A case with its pictures and what to say of it: (name, value) pairs, and perhaps a sentence."""

    name: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    pictures: CaseImages
    sentence: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawn curve and its caption."""

    title: str
    chart: Markup


@dataclass(frozen=True)
class KeyFigure:
    """One key figure: its value as text, its name, and what it means in a line."""

    value: str
    name: str
    meaning: str


def write_report(path: Path, evaluation: Evaluation, context: ReportContext) -> None:
    """Write the report to `path`, whole or not at all."""
    write_atomically(path, render_report(evaluation, context))


def render_report(evaluation: Evaluation, context: ReportContext) -> str:
    """The report as one HTML text; pictures are read from the records' image files."""
    metrics = evaluation.metrics
    return template().render(
        context=context,
        metrics=metrics,
        point=metrics.get("operating_point") or {},
        headline=words.headline(metrics),
        tiles=key_figures(metrics),
        plates=plates(evaluation, context),
        settings=words.flattened(context.settings),
        figures=words.flattened(metrics),
        most_listed=MOST_LISTED,
        style=style(),
        **verdict_view(evaluation),
        **picture_view(evaluation.records),
        **disputed_view(evaluation),
        **kind_view(evaluation),
        **time_view(evaluation.records),
    )


def verdict_view(evaluation: Evaluation) -> dict[str, Any]:
    inspections = [record.inspection for record in evaluation.records]
    return {
        "verdicts": tables.verdict_rows(evaluation.records),
        "errors": [(one.image, one.error or "") for one in inspections if one.verdict is Verdict.ERROR],
        "histogram": histogram(evaluation),
    }


def picture_view(records: Sequence[ImageRecord]) -> dict[str, Any]:
    """Title, kind, how many there are in all, and exhibits of each row of pictures."""
    gallery = choose_cases(records)
    rows = (
        ("Worst misses", "miss", gallery.misses_total, gallery.misses),
        ("Worst false alarms", "alarm", gallery.false_alarms_total, gallery.false_alarms),
        ("Typical hits", "hit", None, gallery.hits),
    )
    return {
        "sections": [(title, kind, n, [case_view(case) for case in cases]) for title, kind, n, cases in rows],
        "absent": ABSENT_OF_LABELS if only_labelled(records) else ABSENT,
        "heated": any(record.heat is not None for record in records),
    }


def disputed_view(evaluation: Evaluation) -> dict[str, Any]:
    """How many labels are in doubt, and exhibits of the first."""
    found = label_issues(evaluation)
    shown = [
        replace(case_view(Case(one.record, one.truth, one.found)), sentence=one.sentence)
        for one in found[:MOST_DISPUTED]
    ]
    return {"disputed": shown, "disputed_total": len(found)}


def only_labelled(records: Sequence[ImageRecord]) -> bool:
    """Whether some images are defective and of none is it known where."""
    return any(is_defective(record) for record in records) and not any(record.truth for record in records)


def kind_view(evaluation: Evaluation) -> dict[str, Any]:
    metrics, records = evaluation.metrics, evaluation.records
    return {
        "matched": MATCH_IOU,
        "kinds": tables.kind_rows(records),
        "confusion": tables.confusion_table((metrics.get("type") or {}).get("confusion")),
        "average_precision": (metrics.get("detection") or {}).get("ap50") or {},
        "measures": tables.measure_rows(records),
    }


def time_view(records: Sequence[ImageRecord]) -> dict[str, Any]:
    return {"stages": tables.stage_times(records), "slowest": tables.slowest_images(records)}


@lru_cache
def template(name: str = "template.html.j2") -> Template:
    loader = PackageLoader("blemish.evaluation.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": words.number, "percent": words.percent, "duration": words.duration}
    return environment.get_template(name)


def style() -> Markup:
    return Markup((Path(__file__).parent / "style.css").read_text(encoding="utf-8"))


KEY_FIGURES: tuple[tuple[str, str, str, str], ...] = (
    (
        "image",
        "auroc",
        "Image AUROC",
        "how well scores part good from defective; 1 is perfect, 0.5 is chance",
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
        "Findings right",
        "share of findings that overlap an annotated defect as much",
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
        "Findings right",
        "share of findings that overlap an annotated defect as much",
    ),
    ("defect", "mean_iou", "Mean IoU", "overlap of found and annotated defects; 1 is the same outline"),
    ("defect", "ar", "AR", "twice the mean overlap beyond IoU 0.5; 1 is perfect"),
    ("pixel", "f1", "Pixel F1", "balance of defect pixels missed and wrongly marked"),
    ("type", "accuracy", "Kind right", "share of located defects that got their right name"),
    (
        "severity",
        "spearman",
        "Severity order",
        "rank correlation of severity with known contrast; 1 is perfect",
    ),
    (
        "pointing",
        "all",
        "Heat points right",
        "share of marked defective parts whose hottest pixel lies on a marked defect",
    ),
    ("detection", "map50", "mAP 50", "mean average precision of boxes at IoU 0.5"),
    ("detection", "map50_95", "mAP 50–95", "the same, mean over IoU 0.5 to 0.95"),
)


def key_figures(metrics: Mapping[str, Any]) -> list[KeyFigure]:
    """The figures a reader looks for first, as far as they were measured; of equal titles, the first."""
    tiles: dict[str, KeyFigure] = {}
    for part, name, title, meaning in KEY_FIGURES:
        value = (metrics.get(part) or {}).get(name)
        if value is not None:
            tiles.setdefault(title, KeyFigure(words.number(value), title, meaning))
    seconds = metrics.get("seconds_per_image")
    if seconds is not None:
        tiles["time"] = KeyFigure(
            words.duration(seconds), "Per image", "from file to list of defects, on average"
        )
    return list(tiles.values())


def histogram(evaluation: Evaluation) -> Markup | None:
    point = evaluation.metrics.get("operating_point") or {}
    scored = [(r.inspection.score, tables.truly_defective(r)) for r in evaluation.records]
    return score_histogram(
        [score for score, defective in scored if score is not None and not defective],
        [score for score, defective in scored if score is not None and defective],
        review_threshold=point.get("review_threshold"),
        threshold=point.get("threshold"),
    )


def plates(evaluation: Evaluation, context: ReportContext) -> list[Figure]:
    """The validation sweep first, then the evaluation's own curves, the training's last."""
    curves: list[Curve] = [] if context.threshold_sweep is None else [context.threshold_sweep]
    rest = [name for name in evaluation.curves if name not in CURVE_ORDER]
    names = [*(name for name in CURVE_ORDER if name in evaluation.curves), *rest]
    curves += [evaluation.curves[name] for name in names[:MOST_CURVES]]
    drawn = [(curve.title, line_chart(curve)) for curve in curves]
    if context.training is not None:
        drawn.append((context.training.title, line_chart(context.training, logarithmic=True)))
    return [Figure(title, chart) for title, chart in drawn if chart is not None]


def case_view(case: Case) -> CaseView:
    record = case.record
    return CaseView(record.sample.id, str(record.inspection.verdict), tuple(facts(case)), case_images(case))


def facts(case: Case) -> list[tuple[str, str]]:
    """What a caption says of a case, in pairs of name and value."""
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
