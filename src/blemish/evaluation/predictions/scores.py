"""Predictions of image scores: a CSV file with the columns `image` and `score`.

Fields are separated by commas, semicolons or tabs, as the first line shows. Numbers have a decimal point, or
all of them a decimal comma.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.predictions.contract import in_unit
from blemish.evaluation.predictions.names import ImageNames
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict
from blemish.untrusted import read_text

COLUMNS = ("image", "score")
SEPARATORS = (",", ";", "\t")
WITH_POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WITH_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class ScorePredictions:
    """Image scores; see `contract.Predictions`. scores: by sample id"""

    path: Path
    scores: Mapping[str, float]
    remarks: tuple[str, ...] = ()
    kind: str = "image scores"
    score_map_max: float | None = None
    classifies: bool = False
    segments: bool = False
    finds_places: bool = False
    own_verdicts: bool = False

    @property
    def covered(self) -> frozenset[str]:
        return frozenset(self.scores)

    @property
    def numbers(self) -> Mapping[str, int]:
        return dict.fromkeys(self.scores, 1)

    def inspect(self, sample: Sample, threshold: float) -> Inspection:
        """Inspection with the sample's score, 0 without one, and no defects."""
        score, size = self.scores.get(sample.id, 0.0), image_size(sample.image)
        return Inspection(str(sample.image), size, Verdict.OK, score, (), str(self.path))


@dataclass(frozen=True)
class Row:
    """Row of the file. place: file and line, for messages"""

    place: str
    image: str
    score: str


@dataclass(frozen=True)
class Table:
    """Rows of a file, and sentences on what of it is not used."""

    rows: tuple[Row, ...]
    remarks: tuple[str, ...]


def read_scores(path: Path, dataset: Dataset) -> ScorePredictions:
    """Scores from a CSV file. Raises BlemishError for a wrong column, number or image."""
    names, scores, strangers = ImageNames(dataset), {}, []
    table = read_table(path)
    commas = decimal_commas(table.rows)
    for row in table.rows:
        score = in_unit(as_number(row.score, comma=bool(commas)), row.place)
        sample = names.find(row.image)
        if sample is None:
            strangers.append(row.image)
        elif sample.id in scores:
            raise BlemishError(
                f"{row.place}: an image must appear once. Received: '{row.image}' again. Remove a line."
            )
        else:
            scores[sample.id] = score
    names.refuse_strangers(strangers, path)
    return ScorePredictions(path, scores, (*table.remarks, *commas))


def read_table(path: Path) -> Table:
    """Rows of a CSV file whose first line names its columns, in any order and case.

    Raises BlemishError for a missing column, and a line of another number of fields.
    """
    text = read_text(path)
    separator = separator_of(text.partition("\n")[0])
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True, skipinitialspace=True)
    try:
        lines = [(reader.line_num, fields) for fields in reader if any(map(str.strip, fields))]
    except csv.Error as error:
        raise BlemishError(
            f"{path}: line {reader.line_num} must be a line of a CSV file. Received: {error}. Correct it."
        ) from error
    names = [name.strip() for name in lines[0][1]] if lines else []
    places = [column_of(name, names, path) for name in COLUMNS]
    refuse_other_lengths(lines, path)
    rows = (
        Row(f"{path}: line {number}", *(fields[place].strip() for place in places))
        for number, fields in lines[1:]
    )
    others = [name or "(no name)" for place, name in enumerate(names) if place not in places]
    unused = (f"{path}: columns that are not used: {', '.join(others)}.",) if others else ()
    return Table(tuple(rows), unused)


def separator_of(header: str) -> str:
    """Separator of a first line: the one that parts it into most fields; a comma where none does."""
    return max(SEPARATORS, key=header.count)


def column_of(name: str, names: Sequence[str], path: Path) -> int:
    """Place of a column. Raises BlemishError where it is missing or there twice."""
    places = [place for place, found in enumerate(names) if found.lower() == name]
    if len(places) == 1:
        return places[0]
    held = ", ".join(names) or "nothing"
    remedy = f"Remove one column '{name}'." if places else f"Add column '{name}'."
    raise BlemishError(f"{path} must begin with a line 'image,score'. Received: {held}. {remedy}")


def refuse_other_lengths(lines: Sequence[tuple[int, Sequence[str]]], path: Path) -> None:
    """Raises BlemishError for a line with more or fewer fields than the first, as of a decimal comma."""
    width = len(lines[0][1])
    for number, fields in lines:
        if len(fields) != width:
            raise BlemishError(
                f"{path}: line {number} must have {width} fields, as the first line has. Received: "
                f"{len(fields)} ({' | '.join(fields)}). Write decimals with a point, and quote a field that "
                "holds the separator."
            )


def decimal_commas(rows: Sequence[Row]) -> tuple[str, ...]:
    """Sentence on scores with a decimal comma; none where there are none.

    Raises BlemishError where other scores have a point, so that commas might part thousands.
    """
    commas = [row for row in rows if WITH_COMMA.fullmatch(row.score)]
    if not commas:
        return ()
    pointed = next((row for row in rows if "." in row.score), None)
    if pointed is not None:
        raise BlemishError(
            f"{pointed.place}: all scores must have a decimal point, or all a decimal comma. Received: "
            f"'{pointed.score}' here and '{commas[0].score}' in {commas[0].place}. Write points."
        )
    first = commas[0].score
    return (f"Scores are read with a decimal comma, '{first}' as {as_number(first, comma=True)}.",)


def as_number(text: str, *, comma: bool) -> float | str:
    """The number that a text spells, else the text itself. comma: decimals may follow a comma"""
    if comma and WITH_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    return float(text) if WITH_POINT.fullmatch(text) else text
