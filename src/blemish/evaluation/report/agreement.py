"""Report on annotator agreement: a JSON file for programs and an HTML file for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from blemish.evaluation.annotators.raters import RatedImage
from blemish.evaluation.annotators.study import Difference, Study, overlaps
from blemish.evaluation.defects import MATCH_IOU
from blemish.evaluation.evaluator import true_defect
from blemish.evaluation.predictions.drawing import measured
from blemish.evaluation.records import ImageRecord
from blemish.evaluation.report.cases import Case
from blemish.evaluation.report.html import CaseView, case_view, style, template
from blemish.files import write_atomically
from blemish.inspection import Inspection, Verdict

SCHEMA = 1
MAX_COLUMNS = 12  # of a table
MAX_SHOWN = 12  # images of a pair of raters


def write_agreement(
    folder: Path, studies: Sequence[Study], names: Sequence[str], origin: Mapping[str, str]
) -> Path:
    """Write agreement.json and report.html; returns the report's path.

    studies: one per pair of raters; names: of the raters; origin: paths of the raters' files by name
    """
    content = {"schema": SCHEMA, "studies": [study.to_json() for study in studies]}
    page = template("agreement.html.j2").render(
        studies=studies,
        names=names,
        origin=origin,
        cases=[[shown(each) for each in study.differences[:MAX_SHOWN]] for study in studies],
        matched=MATCH_IOU,
        max_columns=MAX_COLUMNS,
        median=lambda values: sorted(values)[len(values) // 2],
        style=style(),
    )
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / "agreement.json", text)
    write_atomically(folder / "report.html", page)
    return folder / "report.html"


def shown(difference: Difference) -> CaseView:
    """Case view of an image with the marks of both raters."""
    view = case_view(Case(record_of(difference.image)))
    return replace(view, verdict="", facts=(), sentence=difference.sentence)


def record_of(image: RatedImage) -> ImageRecord:
    """Record for drawing, with the first rater's marks as the truth and the second's as found defects."""
    inspection = Inspection(
        image=str(image.sample.image),
        size=image.size,
        verdict=Verdict.NG if image.second.labels else Verdict.OK,
        score=None,
        defects=tuple(measured(mark, 1.0) for mark in image.second.marks),
        bundle="",
    )
    truth = tuple(true_defect(mark) for mark in image.first.marks)
    return ImageRecord(sample=image.sample, inspection=inspection, truth=truth, iou=overlaps(image))
