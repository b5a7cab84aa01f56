"""Values of annotation files, checked: whatever a tool or a hand wrote there is of the wanted kind.

Every function takes the place of the value, for its message, and raises BlemishError of one line.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from blemish.arrays import Size
from blemish.errors import BlemishError
from blemish.untrusted import read_text

MAX_TABLE_BYTES = 2**30
MAX_COORDINATE = 1e7  # pixels; no camera has more


def refusal(place: str, rule: str, value: object) -> BlemishError:
    """Error of a wrong value, which is shown in at most 60 letters."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return BlemishError(f"{place} must {rule}. Received: {shown}. Correct the file.")


def record(value: object, place: str) -> Mapping[str, Any]:
    """An object of keys and values."""
    if not isinstance(value, dict):
        raise refusal(place, "be an object with keys", value)
    return value


def listed(value: object, place: str) -> Sequence[Any]:
    """A list, which may be empty."""
    if not isinstance(value, list):
        raise refusal(place, "be a list", value)
    return value


def number(value: object, place: str) -> float:
    """A finite number, given as a number or as text with a decimal point."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refusal(place, "be a number", value)
    try:
        result = float(value)
    except (ValueError, OverflowError) as error:
        raise refusal(place, "be a number (with a decimal point)", value) from error
    if not math.isfinite(result) or abs(result) > MAX_COORDINATE:
        raise refusal(place, f"be a number up to {MAX_COORDINATE:.0f}", value)
    return result


def text_of(value: object, place: str) -> str:
    """Text that is not empty, without spaces around it; a whole number stands for its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise refusal(place, "be a name", value)
    return value.strip()


def declared_size(height: object, width: object, place: str) -> Size | None:
    """Size (height, width) that a file gives its image; None where it gives none, or 0."""
    if not height and not width:
        return None
    return round(number(height, f"{place}: height")), round(number(width, f"{place}: width"))


def pairs_of(value: object, place: str) -> list[tuple[float, float]]:
    """Points from a list of [x, y]."""
    points = [listed(point, f"{place} point {n}") for n, point in enumerate(listed(value, place), start=1)]
    for point in points:
        if len(point) != 2:
            raise refusal(place, "have points of two numbers", point)
    return [(number(x, place), number(y, place)) for x, y in points]


def table(path: Path, *, keep_case: bool = False) -> list[tuple[str, dict[str, str]]]:
    """Rows of a CSV file with a header: "file line 2" and column → text.

    keep_case: leave the columns' letters as they are, else they are small

    Commas, semicolons and tabs part the columns, whichever the header holds.
    Raises BlemishError for a column given twice, and a row of more or fewer columns than the header.
    """
    text = read_text(path, max_bytes=MAX_TABLE_BYTES)
    first = text.partition("\n")[0]
    reader = csv.reader(StringIO(text), delimiter=max(",;\t", key=first.count), skipinitialspace=True)
    try:
        rows = [
            (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))
        ]
    except csv.Error as error:
        raise BlemishError(f"{path} must be a CSV file. Received: {error}. Correct the file.") from error
    if not rows:
        return []
    header = [(cell if keep_case else cell.lower()).lstrip("#") for cell in rows[0][1]]
    if len(set(header)) < len(header):
        raise refusal(f"{path}: the header", "name every column once", ",".join(header))
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise refusal(f"{path} line {line}", f"have {len(header)} columns, as the header", ",".join(row))
    return [(f"{path} line {line}", dict(zip(header, row, strict=True))) for line, row in rows[1:]]
