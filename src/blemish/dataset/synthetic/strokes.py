"""Lines of changing width and depth, from which scratches and cracks are drawn.

They are drawn several times too large and reduced, so that widths below a pixel come out right. Shape
letters: N points; h, w the sides of the canvas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.dataset.synthetic.noise import Field, as_field, blurred, line_noise

SUPERSAMPLING = 4


@dataclass(frozen=True)
class Stroke:
    """A line of changing width. points_xy: [N, 2] pixels; widths: [N] pixels; depths: [N] in 0..1"""

    points_xy: NDArray[np.float64]
    widths: NDArray[np.float64]
    depths: NDArray[np.float64]


def random_walk(
    start: NDArray[np.float64], heading: float, length: float, share: float, generator: np.random.Generator
) -> Stroke:
    """A random walk of `length` pixels whose width wanders and runs out; `share` scales the width."""
    count = max(6, int(length / 2.5))
    drift = heading + 0.5 * line_noise(count, 14.0, generator) + generator.normal(0, 0.35, count)
    steps = 2.5 * np.stack([np.cos(drift), np.sin(drift)], axis=1)
    points = start + np.concatenate([np.zeros((1, 2)), steps.cumsum(axis=0)])
    width = generator.uniform(1.6, 3.0) * np.exp(0.35 * line_noise(count + 1, 6.0, generator))
    taper = np.clip(np.linspace(1.0, 0.0, count + 1) * 2.5, 0.3, 1)
    depth = np.clip(0.9 + 0.1 * line_noise(count + 1, 5.0, generator), 0.7, 1)
    return Stroke(points, np.clip(width * taper * share, 0.8, 4.5), depth)


def draw_strokes(strokes: Sequence[Stroke], *, margin: int) -> list[Field]:
    """Each stroke on a canvas of its own, all of one size that just holds them.

    returns: for each stroke [h, w] in 0..1, its depth where it is
    """
    points = np.concatenate([stroke.points_xy for stroke in strokes])
    low = np.floor(points.min(axis=0)) - margin
    width, height = (np.ceil(points.max(axis=0)) + margin - low).astype(int)
    drawn = []
    for stroke in strokes:
        canvas = np.zeros((height * SUPERSAMPLING, width * SUPERSAMPLING), np.uint8)
        path = np.rint((stroke.points_xy - low) * SUPERSAMPLING * 16).astype(int)
        for i in range(len(path) - 1):
            thickness = max(1, round(SUPERSAMPLING * (stroke.widths[i] + stroke.widths[i + 1]) / 2))
            tone = float(255 * (stroke.depths[i] + stroke.depths[i + 1]) / 2)
            cv2.line(canvas, path[i].tolist(), path[i + 1].tolist(), tone, thickness, cv2.LINE_8, 4)
        small = as_field(cv2.resize(canvas, (int(width), int(height)), interpolation=cv2.INTER_AREA))
        drawn.append(blurred(small / 255, 0.5))
    return drawn


def turned_points(points_xy: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """The points turned about the origin by `angle` radians. returns: [N, 2]"""
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.asarray(points_xy @ np.array([[cosine, sine], [-sine, cosine]]))
