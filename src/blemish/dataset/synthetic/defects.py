"""Shapes of the six defect kinds, each drawn anew: what it does to the gray levels and where it is.

A shape says nothing of strength: `blemish.dataset.synthetic.render` scales it to the requested contrast.
Shape letters: h, w, the sides of the shape's own small canvas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Size
from blemish.dataset.synthetic.noise import (
    Field,
    as_field,
    blurred,
    fractal_noise,
    grid,
    line_noise,
    smooth_noise,
    smooth_step,
)
from blemish.dataset.synthetic.strokes import Stroke, draw_strokes, random_walk, turned_points

VISIBLE_SHARE = 0.3  # a pixel belongs to the mask where `extent` exceeds this share of its peak, which is 1


@dataclass(frozen=True)
class Shape:
    """A defect before it has a strength and a place.

    profile: [h, w] change of gray level in units of its peak, signed
    extent: [h, w] in 0..1, without sign and without the zero crossings inside the defect
    hides: share of the surface's texture that disappears under a strong defect, in 0..1
    either_sign: whether it occurs both darker and brighter than the surface
    erases: whether it is an absence of texture rather than a change of tone; its x axis lies along the grain
    """

    profile: Field
    extent: Field
    hides: float
    either_sign: bool
    erases: bool = False

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self.extent > VISIBLE_SHARE


def scratch(reach: float, generator: np.random.Generator) -> Shape:
    """A long thin curved groove, tapered at both ends, with a raised rim of the other tone along one side.

    reach: length in pixels of a long defect on this image; equal for every kind
    """
    length, angle = reach * generator.uniform(0.45, 1.0), generator.uniform(0, 2 * np.pi)
    along = np.linspace(0, 1, max(12, int(length / 4)))
    bow = length * generator.normal(0, 0.09) * 4 * along * (1 - along)
    bow += 0.5 * line_noise(len(along), 8.0, generator)
    points = turned_points(np.stack([along * length, bow], axis=1), angle)
    taper = np.sin(np.pi * np.clip(along, 0.03, 0.97)) ** 0.5
    widths = generator.uniform(1.6, 3.6) * taper
    depths = np.clip(0.85 + 0.15 * line_noise(len(along), 9.0, generator), 0.6, 1) * (0.55 + 0.45 * taper)
    side = turned_points(np.array([[0.0, 1.0]]), angle) * generator.choice([-1, 1])
    rim = Stroke(points + side * (widths[:, None] * 0.5 + 0.6), 0.6 * widths + 0.5, depths)
    core, edge = draw_strokes([Stroke(points, widths, depths), rim], margin=4)
    profile = -core + generator.uniform(0.3, 0.6) * edge * (1 - core)
    # Groove and rim are one defect: the line between them, where the tone crosses zero, belongs to it.
    extent = cv2.morphologyEx(np.maximum(core, 0.6 * edge), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return Shape(profile, as_field(extent), hides=0.5, either_sign=True)


def spot(reach: float, generator: np.random.Generator) -> Shape:
    """A small pit or speck: a compact patch, and a crescent of the other tone where light hits its edge."""
    radius = max(2.5, reach * generator.uniform(0.018, 0.055))
    y, x = _centered(radius * 1.9 + 4)
    distance, bearing = np.hypot(y, x), np.arctan2(y, x)
    outline = radius * (1 + _wobble(bearing, (0.16, 0.1, 0.06), generator))
    core = blurred(np.clip(outline - distance + 0.5, 0, 1), 0.7)
    light = generator.uniform(-np.pi, np.pi)
    ring = np.exp(-(((distance - outline - 0.8) / max(1.0, 0.16 * radius)) ** 2))
    crescent = ring * np.maximum(0, np.cos(bearing - light)) * (1 - core)
    floor = 1 - 0.25 * np.maximum(0, np.cos(bearing - light)) * np.clip(distance / radius, 0, 1)
    return Shape(generator.uniform(0, 0.7) * crescent - core * floor, core, hides=0.75, either_sign=True)


def stain(reach: float, generator: np.random.Generator) -> Shape:
    """A large soft patch, mottled, often with a drying line; the texture shows through."""
    radius = reach * generator.uniform(0.12, 0.26)
    stretch = math.exp(generator.normal(0, 0.25))
    y, x = _centered(radius * 2.5)
    y, x = _turned(y, x, generator.uniform(0, np.pi))
    size = (y.shape[0], y.shape[1])
    field = np.hypot(y * stretch, x / stretch) / radius
    field += 0.16 * smooth_noise(size, radius * 0.9, generator)
    field += 0.09 * smooth_noise(size, max(3.0, radius * 0.4), generator)
    field += 0.035 * smooth_noise(size, max(2.0, radius * 0.12), generator)
    softness = generator.uniform(0.08, 0.3)
    body = 1 - smooth_step(field, 1 - softness, 1 + softness)
    body *= smooth_step(np.minimum(*_distance_to_border(size)), 0, 0.15 * radius)
    drying = np.exp(-(((field - (1 - softness)) / 0.09) ** 2)) * body
    mottle = 1 + 0.12 * fractal_noise(size, [(radius * 0.5, 0.8), (3, 0.4)], generator)
    profile = -body * (0.72 * mottle + generator.uniform(0, 0.35) * drying)
    return Shape(np.clip(profile, -1, 0), body, hides=0.1, either_sign=True)


def dent(reach: float, generator: np.random.Generator) -> Shape:
    """A smooth hollow or bump: bright on the side that faces the light and dark on the other."""
    radius = reach * generator.uniform(0.06, 0.14)
    y, x = _centered(radius * 2.6)
    y, x = _turned(y, x, generator.uniform(0, 2 * np.pi))
    stretch = math.exp(generator.normal(0, 0.15))
    y, x = y * (stretch / radius), x / (stretch * radius)
    outline = 1 + _wobble(np.arctan2(y, x), (0.06, 0.05, 0.04), generator)
    distance = np.hypot(y, x) * outline + 1e-3
    # The slope of a hollow exp(-distance^p): the larger p, the flatter its floor and the narrower its flank.
    power = generator.uniform(2.0, 3.6)
    steepest = ((power - 1) / power) ** (1 / power)
    flank = _slope(distance, power) / _slope(steepest, power)
    profile = x / distance * flank
    profile = np.where(profile > 0, profile, profile * generator.uniform(0.6, 1))
    # Beyond the steepest slope the shading fades; within it the dent is whole, though that crosses zero.
    extent = np.where(distance > steepest, flank, np.ones_like(flank))
    return Shape(profile, extent, hides=0.0, either_sign=True)


def crack(reach: float, generator: np.random.Generator) -> Shape:
    """A dark branching walk of kinked steps, opening and closing along the way."""
    heading, length = generator.uniform(0, 2 * np.pi), reach * generator.uniform(0.35, 0.9)
    strokes = [random_walk(np.zeros(2), heading, length, 1.0, generator)]
    for _ in range(generator.integers(0, 4)):
        trunk = strokes[0]
        start = generator.integers(len(trunk.points_xy) // 5, len(trunk.points_xy) - 1)
        step = trunk.points_xy[start + 1] - trunk.points_xy[start]
        heading = math.atan2(step[1], step[0]) + generator.choice([-1.0, 1.0]) * generator.uniform(0.4, 1.1)
        length = reach * generator.uniform(0.08, 0.3)
        strokes.append(random_walk(trunk.points_xy[start], heading, length, 0.6, generator))
    dark = np.maximum.reduce(draw_strokes(strokes, margin=4))
    return Shape(-dark, dark, hides=0.6, either_sign=False)


def missing_structure(reach: float, generator: np.random.Generator) -> Shape:
    """A patch, or a band as of a missing yarn, in which the texture is worn away to its mean gray level."""
    band = generator.random() < 0.5
    if band:
        half_length, half_width = (
            reach * generator.uniform(0.16, 0.4),
            max(3.0, reach * generator.uniform(0.014, 0.024)),
        )
    else:
        half_length = reach * generator.uniform(0.07, 0.15)
        half_width = half_length * generator.uniform(0.5, 0.9)
    y, x = _centered(half_length * 1.3 + 4)
    size = (y.shape[0], y.shape[1])
    y = y + 0.3 * half_width * smooth_noise(size, half_length, generator)
    power = generator.uniform(1.8, 2.8)
    field = (np.abs(y / half_width) ** power + np.abs(x / half_length) ** power) ** (1 / power)
    field += 0.09 * smooth_noise(size, max(4.0, half_width), generator)
    soft = min(0.35, 2.5 / half_width)
    extent = 1 - smooth_step(field, 0.95 - soft, 0.95 + soft)
    return Shape(-extent, extent, hides=0.93, either_sign=True, erases=True)


DefectKind = Callable[[float, np.random.Generator], Shape]

DEFECTS: Mapping[str, DefectKind] = {
    kind.__name__: kind for kind in (scratch, spot, stain, dent, crack, missing_structure)
}


def _centered(half_side: float) -> tuple[Field, Field]:
    """Row and column offsets from the middle of a square canvas. returns: [h, 1] and [1, w]"""
    side = 2 * math.ceil(half_side) + 1
    rows, columns = grid((side, side))
    return rows - side // 2, columns - side // 2


def _turned(y: Field, x: Field, angle: float) -> tuple[Field, Field]:
    sine, cosine = math.sin(angle), math.cos(angle)
    return y * cosine - x * sine, y * sine + x * cosine


def _slope(distance: Any, power: float) -> Any:
    """Steepness of the hollow exp(-distance^power), to a factor; of a number or of each pixel."""
    return distance ** (power - 1) * math.e ** -(distance**power)


def _wobble(bearing: Field, amplitudes: Sequence[float], generator: np.random.Generator) -> Field:
    """A closed outline's deviation from a circle, harmonics 2, 3, … by `amplitudes`."""
    total = np.zeros_like(bearing)
    for order, amplitude in enumerate(amplitudes, start=2):
        phase = generator.uniform(0, 2 * np.pi)
        total += generator.normal(0, amplitude) * np.cos(order * bearing + phase)
    return np.clip(total, -0.6, 0.6)


def _distance_to_border(size: Size) -> tuple[Field, Field]:
    """Distance of every row and every column to the nearer end of the canvas, broadcast to it."""
    rows, columns = grid(size)
    return (
        np.broadcast_to(np.minimum(rows, size[0] - 1 - rows), size),
        np.broadcast_to(np.minimum(columns, size[1] - 1 - columns), size),
    )
