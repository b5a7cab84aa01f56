"""The report on how two or more raters agree: one JSON file for programs and one HTML file for people."""

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
MOST_COLUMNS = 12  # of a table
MOST_SHOWN = 12  # pictures of a pair of raters


def write_agreement(
    folder: Path, studies: Sequence[Study], names: Sequence[str], origin: Mapping[str, str]
) -> Path:
    """Write agreement.json and report.html; returns the report's path. origin: where the raters' files are"""
    content = {"schema": SCHEMA, "studies": [study.to_json() for study in studies]}
    page = template("agreement.html.j2").render(
        studies=studies,
        names=names,
        origin=origin,
        exhibits=[[shown(one) for one in study.differences[:MOST_SHOWN]] for study in studies],
        matched=MATCH_IOU,
        most_columns=MOST_COLUMNS,
        median=lambda values: sorted(values)[len(values) // 2],
        style=style(),
    )
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / "agreement.json", text)
    write_atomically(folder / "report.html", page)
    return folder / "report.html"


def shown(difference: Difference) -> CaseView:
    """A picture with the marks of both."""
    made = case_view(Case(record_of(difference.both)))
    return replace(made, verdict="", facts=(), sentence=difference.sentence)


def record_of(both: RatedImage) -> ImageRecord:
    """One rater's marks as the truth and the other's as what was found, to be drawn."""
    inspection = Inspection(
        image=str(both.sample.image),
        size=both.size,
        verdict=Verdict.NG if both.other.labels else Verdict.OK,
        score=None,
        defects=tuple(measured(mark, 1.0) for mark in both.other.marks),
        bundle="",
    )
    truth = tuple(true_defect(mark) for mark in both.one.marks)
    return ImageRecord(sample=both.sample, inspection=inspection, truth=truth, iou=overlaps(both))
