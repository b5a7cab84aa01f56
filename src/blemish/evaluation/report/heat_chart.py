"""Chart of a surface as inline SVG: a grid of cells, the darker the greater, each with its value."""

from __future__ import annotations

from markupsafe import Markup

from blemish.evaluation.records import Surface
from blemish.evaluation.report.axes import drawing, text
from blemish.evaluation.report.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH

FAINTEST, DARKEST = 0.04, 0.6  # opacity of the least and the greatest value; the figures stay legible on both


def heat_chart(surface: Surface) -> Markup | None:
    """Chart of a surface, y upwards, its marked cell framed; None without a value."""
    values = [value for row in surface.values for value in row if value is not None]
    if not values:
        return None
    low, span = min(values), max(values) - min(values) or 1.0
    width, height = (WIDTH - LEFT - RIGHT) / len(surface.x), (HEIGHT - TOP - BOTTOM) / len(surface.y)
    parts: list[Markup] = []
    for row, line in enumerate(surface.values):
        top = HEIGHT - BOTTOM - (row + 1) * height
        parts.append(
            text(LEFT - 7, top + height / 2 + 4, shortest(surface.y[row]), anchor="end", kind="heat-tick")
        )
        for column, value in enumerate(line):
            if value is not None:
                left = LEFT + column * width
                opacity = FAINTEST + (DARKEST - FAINTEST) * (value - low) / span
                parts.append(cell(left, top, width, height, kind="heat", opacity=opacity))
                middle = left + width / 2, top + height / 2 + 4
                parts.append(text(*middle, f"{value:.2f}".removeprefix("0"), kind="heat-value"))
    for column, value in enumerate(surface.x):
        parts.append(
            text(LEFT + (column + 0.5) * width, HEIGHT - BOTTOM + 18, shortest(value), kind="heat-tick")
        )
    if surface.marked is not None:
        row, column = surface.marked
        left, top = LEFT + column * width, HEIGHT - BOTTOM - (row + 1) * height
        parts.append(cell(left, top, width, height, kind="heat-mark"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 37, surface.x_name, kind="name"))
    parts.append(text(4, TOP - 28, surface.y_name, anchor="start", kind="name"))
    return drawing(WIDTH, HEIGHT, Markup("").join(parts), title=surface.title)


def cell(
    left: float, top: float, width: float, height: float, *, kind: str, opacity: float | None = None
) -> Markup:
    shade = Markup("") if opacity is None else Markup(' fill-opacity="{:.2f}"').format(opacity)
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"{}/>').format(
        kind, left, top, width, height, shade
    )


def shortest(value: float) -> str:
    """Number of at most three digits, as narrow as it can be written."""
    return f"{value:.3g}".removeprefix("0")
