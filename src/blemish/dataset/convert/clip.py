"""Cutting polygons to their picture, so that they fill the same pixels of it as before.

Source: Sutherland & Hodgman 1974, "Reentrant polygon clipping", a half plane after another. It is exact for
the even-odd rule, of self-crossing polygons too: what lies outside is moved onto the border, where it can
enclose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from blemish.arrays import Point, Size
from blemish.dataset.samples import Polygon

X, Y = 0, 1


def clipped(polygon: Polygon, size: Size) -> Polygon:
    """The part of a polygon inside a picture of `size`; () where none of its corners remain.

    polygon: finite corners; one that lies inside is given back as it is
    """
    height, width = size
    if all(0 <= x <= width and 0 <= y <= height for x, y in polygon):
        return polygon
    corners = above(polygon, X, 0.0)
    corners = mirrored(above(mirrored(corners), X, -float(width)))
    corners = above(corners, Y, 0.0)
    corners = mirrored(above(mirrored(corners), Y, -float(height)))
    return tuple(corners)


def above(corners: Sequence[Point], axis: int, limit: float) -> Sequence[Point]:
    """The part of a closed path where the coordinate of the axis is at least `limit`."""
    if not corners:
        return []
    kept: list[Point] = []
    for start, end in zip([corners[-1], *corners[:-1]], corners, strict=True):
        if (start[axis] >= limit) != (end[axis] >= limit):
            kept.append(crossing(start, end, axis, limit))
        if end[axis] >= limit:
            kept.append(end)
    return [corner for corner, last in zip(kept, [*kept[-1:], *kept[:-1]], strict=True) if corner != last]


def crossing(start: Point, end: Point, axis: int, limit: float) -> Point:
    """Where the line between two corners, of which one lies below the limit, meets it."""
    share = (limit - start[axis]) / (end[axis] - start[axis])
    other = start[1 - axis] + share * (end[1 - axis] - start[1 - axis])
    return (limit, other) if axis == X else (other, limit)


def mirrored(corners: Sequence[Point]) -> Sequence[Point]:
    return [(-x, -y) for x, y in corners]
