"""Named lines with intervals, for the charts of a report and for charts as files.

Colours are classes of style.css. A file carries its rules inside, once for a light and once for a dark page,
and with variables replaced, as not every viewer of SVG knows them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from blemish.evaluation.report.axes import LETTER, AxisScale, frame, line, span, spread, text

WIDTH, HEIGHT = 440, 300
TOP, BOTTOM, LEFT, RIGHT = 42, 46, 48, 16
MAX_LETTERS = 20
COLOURS = 7
NAME_ROW, KEY_ROW, TITLE_ROW = 15, 20, 24
FEW_POINTS = 8  # up to here each point is marked, and its interval a whisker instead of part of a band
CAP, SHIFT = 4, 6  # half the width of a whisker's ends; between lines that have whiskers
ENLARGED = 1.5  # of a file's pixels to the chart's units

LinePoints = list[tuple[float, float]]
NamedLines = dict[str, LinePoints]
Spans = Sequence[tuple[float, float, float]]  # x, and the ends of an interval of y

IN_FILE = re.compile(r"\.chart (text|\.grid line|\.axis line|\.line|\.dot|\.end) \{|\.(line|dot)\.colour")
INTERVALS = {"interval": "fill", "whisker": "stroke"}  # class, and what of it is coloured
OWN_RULES = """
.chart { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.page { fill: var(--page); }
.chart text.title { fill: var(--ink); font-size: 14px; font-weight: 600; }
.interval { opacity: .16; }
.whisker { stroke-width: 1.4; opacity: .75; }
"""


def line_file(
    lines: NamedLines,
    spans: Mapping[str, Spans],
    *,
    title: str,
    x_name: str,
    y_name: str,
    x_ticks: Sequence[float] = (),
) -> str:
    """An SVG file with the lines under their title, each named at its end or above.

    lines: at least one, each with a point; spans: intervals by the name of their line
    x_ticks: the values of x that the axis names, instead of round ones
    """
    heights = [height for points in lines.values() for _, height in points]
    heights += [end for some in spans.values() for _, *ends in some for end in ends]
    y = y_scale(heights, logarithmic=False)
    named = ends_apart(lines, y)
    across = span([x for points in lines.values() for x, _ in points], from_zero=True)
    room = end_room(lines) + LETTER if named else RIGHT  # a file's letters may be wider than a page's
    x = AxisScale(*across, LEFT, WIDTH - room, at=tuple(x_ticks))
    parts = [frame(x, y, x_name=x_name, y_name=y_name), *drawn_lines(lines, spans, x, y)]
    parts += end_names(lines, side_by_side(lines, x)[-1], y) if named else key(lines)
    above = 0 if named else KEY_ROW * math.ceil(len(lines) / 2)
    parts.append(text(4, -above - 4, title, anchor="start", kind="title"))
    content, style = Markup("").join(parts), file_style(len(lines))
    return svg_file(content, title=title, above=above + TITLE_ROW, style=style)


def drawn_lines(lines: NamedLines, spans: Mapping[str, Spans], x: AxisScale, y: AxisScale) -> list[Markup]:
    """Intervals of all lines, and the lines on top of them."""
    under, over = [], []
    for colour, (own, (name, points)) in enumerate(zip(side_by_side(lines, x), lines.items(), strict=True)):
        under += intervals(spans.get(name, ()), own, y, colour=colour)
        few = 1 < len(points) <= FEW_POINTS  # a single one is a dot already
        dots = [dot(own(a), y(b), colour=colour) for a, b in points] if few else []
        over += [polyline(points, own, y, colour=colour), *dots]
    return under + over


def side_by_side(lines: NamedLines, x: AxisScale) -> list[AxisScale]:
    """Scale of x for each line: slightly shifted where points are few, so that no whisker hides another."""
    apart = SHIFT if max(len(points) for points in lines.values()) <= FEW_POINTS else 0
    shifts = [apart * (index - (len(lines) - 1) / 2) for index in range(len(lines))]
    return [replace(x, start=x.start + shift, end=x.end + shift) for shift in shifts]


def svg_file(content: Markup, *, title: str, above: float, style: Markup) -> str:
    """Chart as an SVG file on its own background, as its page need not follow the reader's colours."""
    height = HEIGHT + above
    shape = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="{:g}" height="{:g}" '
        'viewBox="0 {top:g} {w:g} {h:g}" role="img" aria-label="{title}">\n<style>{style}</style>\n'
        '<rect class="page" y="{top:g}" width="{w:g}" height="{h:g}"/>\n{content}\n</svg>\n'
    )
    size = (WIDTH * ENLARGED, height * ENLARGED)
    return str(shape.format(*size, top=-above, w=WIDTH, h=height, title=title, style=style, content=content))


def file_style(colours: int) -> Markup:
    """Rules of style.css for a chart of so many colours, for a light page, then for a dark one."""
    sheet = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    rules = [rule.strip() for rule in re.findall(r"[^{}]+\{[^{}]*\}", sheet)]
    roots = [rule for rule in rules if rule.startswith(":root")]
    light, dark = (dict(re.findall(r"--([\w-]+): ([^;]+);", root)) for root in roots[:2])
    kept = [rule for rule in rules if IN_FILE.match(rule)] + OWN_RULES.strip().splitlines()
    for kind, part in INTERVALS.items():
        kept += [f".{kind}.colour-{number} {{ {part}: var(--line-{number}); }}" for number in range(COLOURS)]
    unused = [f"colour-{number} " for number in range(colours, COLOURS)]
    kept = [rule for rule in kept if not any(name in rule for name in unused)]
    in_dark = in_colours([rule for rule in kept if "var(--" in rule], {**light, **dark})
    return Markup(f"\n{in_colours(kept, light)}\n@media (prefers-color-scheme: dark) {{\n{in_dark}\n}}\n")


def in_colours(rules: Sequence[str], colours: Mapping[str, str]) -> str:
    """Rules of style.css with their variables replaced by colours."""
    return re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], "\n".join(rules))


def intervals(spans: Spans, x: AxisScale, y: AxisScale, *, colour: int) -> list[Markup]:
    """Whiskers on few points, else one band."""
    if len(spans) <= FEW_POINTS:
        return [whisker(x(at), y(low), y(high), colour=colour) for at, low, high in spans]
    there = [f"{x(at):g},{y(low):g}" for at, low, _ in spans]
    back = [f"{x(at):g},{y(high):g}" for at, _, high in reversed(spans)]
    shape = Markup('<polygon class="interval colour-{}" points="{}"/>')
    return [shape.format(colour % COLOURS, " ".join(there + back))]


def whisker(x: float, low: float, high: float, *, colour: int) -> Markup:
    """Interval at a point, with its ends."""
    kind = f"whisker colour-{colour % COLOURS}"
    ends = [line(x - CAP, end, x + CAP, end, kind=kind) for end in (low, high)]
    return Markup("").join([line(x, low, x, high, kind=kind), *ends])


def y_scale(values: Sequence[float], *, logarithmic: bool) -> AxisScale:
    """Scale of y for values; logarithmic where asked and worth it."""
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
