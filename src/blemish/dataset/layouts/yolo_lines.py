"""Lines of YOLO label files: boxes, turned boxes, polygons and key points, in shares of the image's size.

Source: Ultralytics, datasets for detect, segment, obb and pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blemish.dataset.layouts.common import decimal
from blemish.dataset.samples import Annotation
from blemish.errors import BlemishError

SLACK = 0.01  # of a share: rounding, and boxes that touch the edge
FARTHEST = 0.5  # outside 0 to 1; what lies farther is no share
OUTSIDE = "they have shares outside 0 to 1, which end at the image's edge"
SIXTH = "they have a sixth number, a confidence or the number of a track, which is not read"
KEY_POINTS = "they have key points beside the box, which are not read"


@dataclass(frozen=True)
class LineRule:
    """Meaning of the numbers of a line.

    names: classes by number; key_points: (number, values of each) from `kpt_shape`, or None
    """

    names: Sequence[str]
    key_points: tuple[int, int] | None = None

    @property
    def length(self) -> int:
        """Number of values behind the class where there are key points."""
        return 0 if self.key_points is None else 4 + self.key_points[0] * self.key_points[1]


def read_line(line: str, rule: LineRule, size: tuple[int, int], place: str) -> tuple[Annotation, list[str]]:
    """Annotation of a line, and what should be said about it. Raises BlemishError that names `place`."""
    number, values = numbers_of(line, place)
    if not (number.is_integer() and 0 <= number < len(rule.names)):
        raise BlemishError(
            f"{place} must name a known class (0 to {len(rule.names) - 1}). Received: {number:g}. "
            "Correct the line or add the class name."
        )
    label, count = rule.names[int(number)], len(values)
    if rule.key_points and count == rule.length:
        doubts, values = [KEY_POINTS], values[:4]
    else:
        doubts = [SIXTH] if count == 5 else []
        values = values[:4] if count == 5 else values
        refuse_other_count(line, count, values, rule, place)
    refuse_other_shares(line, values, place)
    doubts += [OUTSIDE] if any(not -SLACK <= value <= 1 + SLACK for value in values) else []
    height, width = size
    if len(values) == 4:
        cx, cy, w, h = values
        if not (w > 0 and h > 0):
            raise BlemishError(f"{place}: a box must have an area. Received: '{line}'. Correct the line.")
        box = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
        return Annotation(label, box), doubts
    corners = zip(values[::2], values[1::2], strict=True)
    return Annotation(label, polygons=(tuple((x * width, y * height) for x, y in corners),)), doubts


def numbers_of(line: str, place: str) -> tuple[float, list[float]]:
    """Class number and values of a line."""
    words = line.split()
    try:
        return decimal(words[0]), [decimal(word) for word in words[1:]]
    except ValueError as error:
        raise BlemishError(
            f"{place} must hold numbers. Received: '{line:.80}' ({error}). Correct the line."
        ) from error


def refuse_other_count(line: str, count: int, values: Sequence[float], rule: LineRule, place: str) -> None:
    """Raise BlemishError where the numbers are neither a box nor a polygon, or may be key points."""
    if count not in (4, 5) and rule.key_points:
        raise BlemishError(
            f"{place} must hold a box, alone or with the key points of 'kpt_shape' ({rule.length} numbers "
            f"behind the class). Received: '{line:.80}'. Correct the line."
        )
    seen = values[6::3]
    if count > 6 and (count - 4) % 3 == 0 and all(value in (0, 1, 2) for value in seen):
        raise BlemishError(
            f"{place} must hold a box or a polygon. Received: '{line:.80}', which looks like key points. "
            f"Put 'kpt_shape: [{(count - 4) // 3}, 3]' into data.yaml."
        )
    if count not in (4, 5) and (count < 6 or count % 2):
        raise BlemishError(
            f"{place} must hold 'class cx cy w h' or a polygon. Received: '{line:.80}'. Correct the line."
        )


def refuse_other_shares(line: str, values: Sequence[float], place: str) -> None:
    """Raise BlemishError for pixels in the place of shares, and for what lies far outside the image."""
    if any(not -FARTHEST <= value <= 1 + FARTHEST for value in values):
        raise BlemishError(
            f"{place} must hold shares of the image's width and height, 0 to 1. Received: '{line:.80}'. "
            "Divide pixels by the image's size, or correct the line."
        )
