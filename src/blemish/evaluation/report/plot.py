"""Lines, dots and line names of a chart, as inline SVG whose colours are classes of style.css."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from blemish.evaluation.report.axes import LETTER, AxisScale, line, span, spread, text

WIDTH, HEIGHT = 440, 300
TOP, BOTTOM, LEFT, RIGHT = 42, 46, 48, 16
MAX_LETTERS = 20
COLOURS = 7
NAME_ROW, KEY_ROW = 15, 20

LinePoints = list[tuple[float, float]]
NamedLines = dict[str, LinePoints]


def y_scale(values: Sequence[float], *, logarithmic: bool) -> AxisScale:
    """Scale of y for values; logarithmic on request, where they span more than a power of ten."""
    if logarithmic and 0 < 10 * min(values) < max(values):
        return AxisScale(min(values) / 1.15, max(values) * 1.15, HEIGHT - BOTTOM, TOP, logarithmic=True)
    return AxisScale(*span(values, from_zero=True), HEIGHT - BOTTOM, TOP)


def polyline(points: Sequence[tuple[float, float]], x: AxisScale, y: AxisScale, *, colour: int) -> Markup:
    if len(points) == 1:
        return dot(x(points[0][0]), y(points[0][1]), colour=colour)
    path = " ".join(f"{x(a):g},{y(b):g}" for a, b in points)
    return Markup('<polyline class="line colour-{}" points="{}"/>').format(colour % COLOURS, path)


def dot(x: float, y: float, *, colour: int) -> Markup:
    return Markup('<circle class="dot colour-{}" cx="{:g}" cy="{:g}" r="4"/>').format(colour % COLOURS, x, y)


def ends_apart(lines: NamedLines, y: AxisScale) -> bool:
    """True where names fit beside the ends of their lines."""
    ends = sorted(y(points[-1][1]) for points in lines.values())
    placed = spread(ends, min_gap=NAME_ROW, low=y.end, high=y.start)
    return all(abs(end - at) <= NAME_ROW for end, at in zip(ends, placed, strict=True))


def end_room(lines: NamedLines) -> float:
    """Width needed right of the chart for the longest name."""
    return RIGHT + 4 + LETTER * max(len(shortened(name)) for name in lines)


def end_names(lines: NamedLines, x: AxisScale, y: AxisScale) -> list[Markup]:
    """Names of the lines right of their last points, moved apart where lines end together."""
    ends = sorted((y(points[-1][1]), index, name) for index, (name, points) in enumerate(lines.items()))
    heights = spread([end for end, _, _ in ends], min_gap=NAME_ROW, low=y.end, high=y.start)
    return [
        text(x.end + 7, height + 4, shortened(name), anchor="start", kind=f"end colour-{index % COLOURS}")
        for height, (_, index, name) in zip(heights, ends, strict=True)
    ]


def key(lines: NamedLines) -> list[Markup]:
    """Samples of the lines with their names in two columns above the chart, for lines that end together."""
    pieces = []
    for index, name in enumerate(lines):
        left, height = 4 + (index % 2) * WIDTH / 2, KEY_ROW * (index // 2 - math.ceil(len(lines) / 2)) + 10
        sample = line(left, height - 4, left + 28, height - 4, kind=f"line colour-{index % COLOURS}")
        pieces.append(
            sample + text(left + 35, height, name, anchor="start", kind=f"end colour-{index % COLOURS}")
        )
    return pieces


def shortened(name: str) -> str:
    """The name, cut off after `MAX_LETTERS`."""
    return name if len(name) <= MAX_LETTERS else name[: MAX_LETTERS - 1] + "…"
