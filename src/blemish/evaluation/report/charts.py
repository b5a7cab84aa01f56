"""Charts of a report as inline SVG: lines named where they end, and the score histogram with both thresholds.

Colours are classes of style.css (Okabe & Ito's colour-blind-safe set), so that the charts follow a dark page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from blemish.evaluation.records import Curve
from blemish.evaluation.report.axes import LETTER, AxisScale, drawing, frame, line, span, text, tick
from blemish.evaluation.report.plot import (
    BOTTOM,
    HEIGHT,
    KEY_ROW,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    dot,
    end_names,
    end_room,
    ends_apart,
    key,
    polyline,
    y_scale,
)
from blemish.evaluation.report.words import number

MAX_POINTS = 300
BINS = 40
SIDE = 104  # room left of the histogram for the names of its two sides


def line_chart(curve: Curve, *, logarithmic: bool = False) -> Markup | None:
    """Chart of a curve's lines, named at their ends or above, `marked_x` as a rule and dots; None without
    points.

    logarithmic: y in powers of ten, where all of it is above zero
    """
    lines = {name: points for name, y in curve.lines.items() if (points := drawable(curve.x, y))}
    if not lines:
        return None
    y = y_scale([height for points in lines.values() for _, height in points], logarithmic=logarithmic)
    named = len(lines) > 1 and ends_apart(lines, y)
    every_x = [x for points in lines.values() for x, _ in points] + marks(curve)
    x = AxisScale(*span(every_x), LEFT, WIDTH - (end_room(lines) if named else RIGHT))
    parts = [frame(x, y, x_name=curve.x_name, y_name=curve.y_name)]
    parts += [polyline(points, x, y, colour=index) for index, points in enumerate(lines.values())]
    parts += marked(curve, x, y)
    parts += end_names(lines, x, y) if named else []
    above = key(lines) if len(lines) > 1 and not named else []
    content = Markup("").join(parts + above)
    return drawing(WIDTH, HEIGHT, content, title=curve.title, above=KEY_ROW * math.ceil(len(above) / 2))


def drawable(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """The finite points, thinned out evenly to MAX_POINTS; the ends stay."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if len(points) <= MAX_POINTS:
        return points
    indices = np.unique(np.linspace(0, len(points) - 1, MAX_POINTS).round().astype(int))
    return [points[index] for index in indices]


def marks(curve: Curve) -> list[float]:
    """The x to mark, if any."""
    return [] if curve.marked_x is None or not math.isfinite(curve.marked_x) else [curve.marked_x]


def marked(curve: Curve, x: AxisScale, y: AxisScale) -> list[Markup]:
    """The marked x as a dashed rule with its value, and a dot at the nearest point of each line."""
    pieces: list[Markup] = []
    for value in marks(curve):
        at, beyond = x(value), value > x.low + 0.6 * (x.high - x.low)
        reached = nearest_heights(curve, value)
        side, gap = ("end", -6) if beyond else ("start", 6)
        height = f" → {rounded(reached[0][1])}" if len(curve.lines) == len(reached) == 1 else ""
        pieces.append(line(at, TOP - 18, at, HEIGHT - BOTTOM, kind="mark"))
        pieces += [dot(at, y(reach), colour=index) for index, reach in reached]
        pieces.append(text(at + gap, TOP - 8, f"chosen {rounded(value)}{height}", anchor=side, kind="mark"))
    return pieces


def rounded(value: float) -> str:
    return tick(float(f"{value:.3g}") if abs(value) < 1000 else value)


def nearest_heights(curve: Curve, value: float) -> list[tuple[int, float]]:
    """Number of each line that has points, and its y at the x nearest to the value."""
    heights = []
    for index, values in enumerate(curve.lines.values()):
        points = [(abs(a - value), b) for a, b in zip(curve.x, values, strict=True) if math.isfinite(a + b)]
        if points:
            heights.append((index, min(points, key=lambda point: point[0])[1]))
    return heights


def score_histogram(
    good: Sequence[float],
    defective: Sequence[float],
    *,
    review_threshold: float | None,
    threshold: float | None,
) -> Markup | None:
    """Histogram of scores, good parts upwards, defective ones downwards, each to its own scale, with
    thresholds.

    good, defective: image scores in [0, 1]; returns: None where there are no scores
    """
    scores = [*good, *defective]
    if not scores:
        return None
    width, height, middle = 760, 330, 150
    rules = [value for value in (review_threshold, threshold) if value is not None]
    low, high = padded(min([*scores, *rules]), max([*scores, *rules]))
    x = AxisScale(low, high, SIDE, width - RIGHT)
    edges = np.linspace(low, high, BINS + 1)
    parts = [bands(x, review_threshold, threshold, height=height - BOTTOM)]
    parts += [bars(good, edges, x, middle, up=True), bars(defective, edges, x, middle, up=False)]
    parts += [line(SIDE, middle, width - RIGHT, middle, kind="base")]
    parts += side_names(len(good), len(defective), middle)
    parts += [
        threshold_rules(x, review_threshold, threshold, height=height - BOTTOM),
        bottom_axis(x, height - BOTTOM),
    ]
    return drawing(width, height, Markup("").join(parts), title="Image scores of good and defective parts")


def padded(low: float, high: float) -> tuple[float, float]:
    room = 0.03 * (high - low) or 0.05
    return low - room, high + room


def bars(
    scores: Sequence[float], edges: NDArray[np.float64], x: AxisScale, middle: float, *, up: bool
) -> Markup:
    """Bars of a histogram, a bar a bin; the count is written at the tallest. edges: [bins + 1]"""
    counts = np.histogram(np.asarray(scores, dtype=float), bins=edges)[0]
    if not counts.any():
        return Markup("")
    spans = [(x(left), x(right)) for left, right in pairwise(edges.tolist())]
    drawn = [
        bar(spans[index], max(2.0, 95 * count / counts.max()), middle, up=up)
        for index, count in enumerate(counts)
        if count
    ]
    tallest = int(counts.argmax())
    above = text(
        sum(spans[tallest]) / 2, middle - 100 if up else middle + 109, str(counts[tallest]), kind="count"
    )
    return Markup("").join([*drawn, above])


def bar(sides: tuple[float, float], size: float, middle: float, *, up: bool) -> Markup:
    shape = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    upper = middle - size if up else middle
    return shape.format("good" if up else "bad", sides[0] + 0.5, upper, sides[1] - sides[0] - 1, size)


def side_names(good: int, defective: int, middle: float) -> list[Markup]:
    """Numbers of good and defective parts, left of the bars."""
    rows = (
        (str(good), -34, "good"),
        ("good", -19, "good"),
        (str(defective), 26, "bad"),
        ("defective", 41, "bad"),
    )
    return [
        text(SIDE - 9, middle + down, words, anchor="end", kind=f"end {kind}") for words, down, kind in rows
    ]


def bands(x: AxisScale, review_threshold: float | None, threshold: float | None, *, height: float) -> Markup:
    """Faint backgrounds of the ranges of OK, REVIEW and NG, with the word at their top."""
    if threshold is None:
        return Markup("")
    lower = threshold if review_threshold is None else review_threshold
    stops = [("OK", x.low, lower), ("REVIEW", lower, threshold), ("NG", threshold, x.high)]
    pieces: list[Markup] = []
    for verdict, start, end in stops:
        left, right = x(min(max(start, x.low), x.high)), x(min(max(end, x.low), x.high))
        if right - left < 1:
            continue
        shape = Markup('<rect class="band {}" x="{:g}" y="18" width="{:.1f}" height="{:g}"/>')
        pieces.append(shape.format(verdict.lower(), left, right - left, height - 18))
        pieces.append(text((left + right) / 2, 12, verdict, kind="band-name"))
    return Markup("").join(pieces)


def threshold_rules(
    x: AxisScale, review_threshold: float | None, threshold: float | None, *, height: float
) -> Markup:
    """Rules at both thresholds, with values away from each other, a row higher where there is no room."""
    band = None if review_threshold == threshold else review_threshold
    rules = ((band, "REVIEW from", False), (threshold, "NG from", True))
    pieces: list[Markup] = []
    for value, name, rightwards in rules:
        if value is None:
            continue
        words, at = f"{name} {number(float(value))}", x(value)
        room = x.end - at if rightwards else at - x.start
        fits = room > LETTER * len(words) + 10
        side, gap = ("start", 5) if rightwards is fits else ("end", -5)
        upper = height - (6 if fits else 24)
        pieces += [
            line(at, 18, at, height, kind="mark"),
            text(at + gap, upper, words, anchor=side, kind="mark"),
        ]
    return Markup("").join(pieces)


def bottom_axis(x: AxisScale, height: float) -> Markup:
    pieces = [Markup('<g class="axis">'), line(x.start, height, x.end, height)]
    for value in x.ticks:
        pieces += [line(x(value), height, x(value), height + 4), text(x(value), height + 18, tick(value))]
    pieces += [
        text((x.start + x.end) / 2, height + 37, "image score, higher is worse", kind="name"),
        Markup("</g>"),
    ]
    return Markup("").join(pieces)
