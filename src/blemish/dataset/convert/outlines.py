"""Outlines for formats that hold polygons alone: along a mask's pixel edges, several parts joined to one.

All are meant for the even-odd rule, and fill exactly the pixels that they stand for.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Floats, Size
from blemish.dataset.masks import polygon_mask
from blemish.dataset.samples import Polygon
from blemish.regions.runs import runs_of
from blemish.regions.tracing import follow, linked, upright_edges


def mask_outlines(mask: NDArray[np.bool_], *, left: int = 0, top: int = 0) -> tuple[Polygon, ...]:
    """Outlines of a mask's 8-connected parts along pixel edges, holes joined to the part around them.

    left, top: where the mask [h, w] lies in its picture
    """
    count, numbers = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    parts = (joined(loops(numbers == number)) for number in range(1, count))
    return tuple(tuple((x + left, y + top) for x, y in part) for part in parts)


def loops(mask: NDArray[np.bool_]) -> list[Polygon]:
    """Closed paths along all of a mask's pixel edges: outlines of its parts and of their holes."""
    corners, keys, _ = upright_edges(runs_of(mask))
    across, seen = linked(keys).data, np.zeros(len(keys), np.int32).data
    paths = [follow(start, across, seen, 1) for start in range(len(keys)) if not seen[start]]
    return [tuple((float(x), float(y)) for x, y in corners[path].tolist()) for path in paths]


def single_outline(polygons: Sequence[Polygon], size: Size) -> Polygon:
    """A single polygon that fills what several fill together; traced anew where they overlap."""
    if len(polygons) == 1:
        return polygons[0]
    masks = [polygon_mask([polygon], size) for polygon in polygons]
    together = np.logical_or.reduce(masks)
    if together.sum() == sum(mask.sum() for mask in masks):
        return joined(polygons)
    return joined(mask_outlines(together))


def joined(polygons: Sequence[Polygon]) -> Polygon:
    """Polygons as one path, by bridges from each to the nearest corner of those before it.

    A bridge is walked there and back, so it encloses nothing. It runs along rows and columns, so that not
    even rounding makes its two ways differ.
    Source: the converter of Ultralytics joins the parts of COCO's polygons so, in straight lines.
    """
    path = np.asarray(polygons[0], np.float64)
    for polygon in polygons[1:]:
        loop = np.asarray(polygon, np.float64)
        here, there = nearest_corners(path, loop)
        turn = np.array([[loop[there, 0], path[here, 1]]])
        around = np.roll(loop, -there, axis=0)
        bridge = [path[here : here + 1], turn]
        parts = [path[:here], *bridge, around, around[:1], *bridge[::-1], path[here + 1 :]]
        path = np.concatenate(parts)
    return tuple((x, y) for x, y in path.tolist())


def nearest_corners(path: Floats, loop: Floats) -> tuple[int, int]:
    """Indices of the nearest corners of two paths, [n, 2] and [m, 2], by their distance along the axes."""
    best = [np.abs(path - corner).sum(axis=1) for corner in loop]
    there = int(np.argmin([distances.min() for distances in best]))
    return int(best[there].argmin()), there
