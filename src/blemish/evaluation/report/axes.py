"""Axes of an SVG chart: scales, round ticks, grid and names; colours come from the page.

Coordinates are SVG units; a chart scales to its column. Texts are escaped here, so parts may be joined.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

LETTER = 6.4  # width of an average letter at the charts' font size


@dataclass(frozen=True)
class AxisScale:
    """Map of values in low…high to start…end in SVG units, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + (self.end - self.start) * share, 1)

    @property
    def ticks(self) -> list[float]:
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            within = [value for value in fine if self.low <= value <= self.high]
            tens = [10.0**power for power in powers if self.low <= 10.0**power <= self.high]
            return within if len(within) <= 8 else tens  # doubles and fivefolds where they leave room
        spacing = 75 if self.end > self.start else 45  # numbers need more room beside than above each other
        return round_ticks(self.low, self.high, wanted=max(2, round(abs(self.end - self.start) / spacing)))


def round_ticks(low: float, high: float, *, wanted: int) -> list[float]:
    """About `wanted` values at 1, 2 or 5 times a power of ten, all within low…high."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.75 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def span(values: Iterable[float], *, from_zero: bool = False) -> tuple[float, float]:
    """Range of an axis: 0…1 for shares that cover a good part of it, else that of the values."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if low >= 0 and high <= 1 and (from_zero or high - low > 0.4) and high > 0.2:
        return 0.0, 1.0
    if from_zero and low > 0:
        low = 0.0
    if high == low:
        return low - 0.5, high + 0.5
    return low, high


def frame(x: AxisScale, y: AxisScale, *, x_name: str, y_name: str) -> Markup:
    """Grid, tick numbers and axis names around the rectangle that the two scales span."""
    pieces = [Markup('<g class="grid">')]
    for value in y.ticks:
        pieces.append(line(x.start, y(value), x.end, y(value)))
    pieces.append(Markup('</g><g class="axis">'))
    for value in y.ticks:
        pieces.append(text(x.start - 7, y(value) + 4, tick(value), anchor="end"))
    for value in x.ticks:
        pieces += [line(x(value), y.start, x(value), y.start + 4), text(x(value), y.start + 18, tick(value))]
    pieces += [
        line(x.start, y.start, x.end, y.start),
        text((x.start + x.end) / 2, y.start + 37, x_name, kind="name"),
    ]
    pieces += [text(4, y.end - 28, y_name, anchor="start", kind="name"), Markup("</g>")]
    return Markup("").join(pieces)


def drawing(width: float, height: float, content: Markup, *, title: str, above: float = 0) -> Markup:
    """SVG of a chart with `above` more room over y = 0; screen readers read out its title."""
    return Markup(
        '<svg class="chart" viewBox="0 {top:g} {w:g} {h:g}" role="img" aria-label="{title}">{content}</svg>'
    ).format(top=-above, w=width, h=height + above, title=title, content=content)


def line(x0: float, y0: float, x1: float, y1: float, *, kind: str = "") -> Markup:
    named = Markup(' class="{}"').format(kind) if kind else Markup("")
    return Markup('<line{} x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}"/>').format(named, x0, y0, x1, y1)


def text(x: float, y: float, words: str, *, anchor: str = "middle", kind: str = "") -> Markup:
    named = Markup(' class="{}"').format(kind) if kind else Markup("")
    return Markup('<text{} x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        named, x, y, anchor, words
    )


def tick(value: float) -> str:
    """Text of a tick: at most four digits, without exponent up to ten million, as steps of trainings need."""
    words = f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"
    return words.replace("-", "\u2212")


def spread(wanted: Sequence[float], *, min_gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones (ascending), `min_gap` apart, inside low…high as far as they fit."""
    placed: list[float] = []
    for position in wanted:
        placed.append(max(position, placed[-1] + min_gap if placed else low))
    limit = high
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - min_gap
    return placed
