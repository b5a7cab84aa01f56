"""Tables of an inspection for spreadsheets: inspections.csv, a row an image, and defects.csv, a row a defect.

Both are made of inspections.jsonl, line by line, and described in docs/pictures.md.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.files import atomic_file
from blemish.inspection import Inspection
from blemish.inspector.found_files import DEFECT_TABLE, IMAGE_TABLE
from blemish.inspector.pipeline import Answer
from blemish.spreadsheets import plain_text
from blemish.workflows.inspection_counts import InspectionCounts

Cell = str | int | float | None

IMAGE_COLUMNS = (
    *("image", "verdict", "score", "score_spread", "grade", "reasons", "defects", "classes", "under_limit"),
    *("max_severity", "max_length_px", "max_area_px", "max_length_mm", "max_area_mm2"),
    *("image_width", "image_height", "mm_per_px", "first_row", "end_row"),
    *("bundle", "decision", "error"),
)
DEFECT_COLUMNS = (
    *("image", "verdict", "defect", "class", "confidence", "left", "top", "right", "bottom"),
    *("length_px", "width_px", "angle_deg", "area_px", "mean_severity", "max_severity"),
    *("length_mm", "width_mm", "area_mm2"),
)


class Tables:
    """Both tables in a folder, written at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failure = ""

    def add(self, answer: Answer) -> None:
        """They are made of what inspections.jsonl says."""

    def finish(self, record: Path, counts: InspectionCounts) -> None:
        try:
            write_tables(record, self.folder)
        except BlemishError as error:
            self.failure = str(error)

    def lack(self) -> str:
        return self.failure


def write_tables(record: Path, folder: Path) -> None:
    """Write the tables of an inspections.jsonl into a folder. Raises BlemishError where that cannot be."""
    write_table(folder / IMAGE_TABLE, IMAGE_COLUMNS, map(image_row, inspections_in(record)))
    rows = (row for inspection in inspections_in(record) for row in defect_rows(inspection))
    write_table(folder / DEFECT_TABLE, DEFECT_COLUMNS, rows)


def inspections_in(record: Path) -> Iterator[Inspection]:
    with record.open(encoding="utf-8") as lines:
        for line in lines:
            yield Inspection.from_json(json.loads(line))


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write rows as CSV (RFC 4180), in UTF-8 with the byte order mark by which Excel knows it."""
    with atomic_file(path) as file:
        for row in chain([columns], rows):
            line = ",".join(map(field, row)) + "\r\n"
            file.write(line.encode("utf-8-sig" if row is columns else "utf-8", errors="backslashreplace"))


def field(cell: Cell) -> str:
    """Field of a table: a number, or text in quotes."""
    if not isinstance(cell, str):
        return "" if cell is None else str(cell)
    return '"' + plain_text(cell).replace('"', '""') + '"'


def image_row(inspection: Inspection) -> tuple[Cell, ...]:
    defects = inspection.defects
    height, width = inspection.size or (None, None)
    first, end = inspection.rows or (None, None)
    return (
        *(inspection.image, str(inspection.verdict), inspection.score, inspection.spread, inspection.grade),
        *("; ".join(inspection.reasons), len(defects), classes(defects)),
        len(inspection.under_limit),
        largest((defect.severity_max for defect in defects), 3),
        largest((defect.rectangle.length for defect in defects), 2),
        largest((defect.area for defect in defects), 1),
        largest((defect.length_mm for defect in defects), 4),
        largest((defect.area_mm2 for defect in defects), 6),
        *(width, height, inspection.mm_per_px, first, end),
        *(inspection.bundle, inspection.decision, inspection.error),
    )


def defect_rows(inspection: Inspection) -> Iterator[tuple[Cell, ...]]:
    for number, defect in enumerate(inspection.defects, start=1):
        rectangle = defect.rectangle
        yield (
            *(inspection.image, str(inspection.verdict), number, defect.label, defect.confidence),
            *defect.box_xyxy,
            *(rectangle.length, rectangle.width, rectangle.angle_deg, defect.area),
            *(defect.severity_mean, defect.severity_max),
            *(rounded(defect.length_mm, 4), rounded(defect.width_mm, 4), rounded(defect.area_mm2, 6)),
        )


def classes(defects: Sequence[Defect]) -> str:
    """Number of defects of each class, the most frequent first: "scratch 2, dent 1"."""
    counts = Counter(defect.label for defect in defects)
    return ", ".join(f"{label} {number}" for label, number in counts.most_common())


def largest(values: Iterable[float | None], digits: int) -> float | None:
    return rounded(max((value for value in values if value is not None), default=None), digits)


def rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
