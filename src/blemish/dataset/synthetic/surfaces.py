"""Procedural gray surfaces that look like photographs of industrial parts, each drawn anew for every image.

In the spirit of DAGM2007 (Wieler & Hahn, Weakly supervised learning for industrial optical inspection): the
surface is generated, so the truth is exact. Every function takes a size (height, width) and a generator,
and returns [H, W] float32 gray levels before sensor noise; pitch, angle, brightness and light change as
from part to part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Size
from blemish.dataset.synthetic.noise import (
    Field,
    as_field,
    blurred,
    cell_borders,
    fractal_noise,
    grid,
    line_noise,
    rotated,
    smooth_noise,
    smooth_step,
)
from blemish.dataset.synthetic.photograph import photograph

Surface = Callable[[Size, np.random.Generator], Field]


def woven_fabric(size: Size, generator: np.random.Generator) -> Field:
    """Cloth in plain weave or twill: uneven yarns passing over and under, with visible fibres."""
    pitch = (generator.uniform(8.0, 12.0), generator.uniform(8.0, 12.0))
    run = 1 if generator.random() < 0.6 else 2
    pattern = rotated(size, _upright(3, generator), lambda canvas: _weave(canvas, pitch, run, generator))
    level, contrast = generator.uniform(85, 130), generator.uniform(0.85, 1.1)
    return photograph(pattern, level=level, contrast=contrast, generator=generator)


def brushed_metal(size: Size, generator: np.random.Generator) -> Field:
    """Sheet metal brushed in one direction: streaks of many lengths, and light banded across them."""
    pattern = rotated(size, _upright(5, generator), lambda canvas: _streaks(canvas, generator))
    level, contrast = generator.uniform(105, 165), generator.uniform(0.07, 0.12)
    return photograph(pattern, level=level, contrast=contrast, generator=generator)


def cast_metal(size: Size, generator: np.random.Generator) -> Field:
    """Rough casting skin: lumps and pits of many sizes under light from one side."""
    lump = generator.uniform(7, 13)
    layers = [(lump * 6, 2.0), (lump * 2, 1.2), (lump, 1.1), (lump / 2, 0.5), (2.0, 0.1)]
    height = fractal_noise(size, layers, generator)
    # Lumps of molten metal are rounder than the pits between them.
    height = 0.6 * height - 1.1 * np.abs(height - smooth_noise(size, lump * 1.4, generator))
    pattern = 1.7 * np.tanh(_shading(height, generator) * 1.9 / 1.7)
    pattern += 0.5 * fractal_noise(size, [(40, 0.4), (1.6, 0.5), (1.0, 0.5)], generator)
    pits = smooth_step(smooth_noise(size, lump * 0.6, generator), 2.0, 2.8)
    level, contrast = generator.uniform(80, 130), generator.uniform(0.13, 0.19)
    return photograph(pattern - 1.3 * pits, level=level, contrast=contrast, generator=generator)


def wood_grain(size: Size, generator: np.random.Generator) -> Field:
    """Planed wood: rings that wander and end in dark late wood, fibres and short pores along the grain."""
    pitch = generator.uniform(16, 44)
    pattern = rotated(size, _upright(6, generator), lambda canvas: _growth_rings(canvas, pitch, generator))
    level, contrast = generator.uniform(120, 175), generator.uniform(0.08, 0.13)
    return photograph(pattern, level=level, contrast=contrast, generator=generator)


def turned_metal(size: Size, generator: np.random.Generator) -> Field:
    """Face-turned metal: arcs of tool marks about a centre outside the image, and a fan of light."""
    diagonal, direction = math.hypot(*size), generator.uniform(0, 2 * math.pi)
    away = diagonal * generator.uniform(0.6, 1.1)
    rows, columns = grid(size)
    y = rows - (size[0] / 2 + away * math.sin(direction))
    x = columns - (size[1] / 2 + away * math.cos(direction))
    # Angles are counted from the line between the two centres, so that none wraps inside the image.
    along = -(x * math.cos(direction) + y * math.sin(direction))
    across = x * math.sin(direction) - y * math.cos(direction)
    pattern = _tool_marks(np.hypot(along, across), np.arctan2(across, along), generator)
    level, contrast = generator.uniform(100, 160), generator.uniform(0.09, 0.14)
    return photograph(pattern, level=level, contrast=contrast, generator=generator)


def leather(size: Size, generator: np.random.Generator) -> Field:
    """Grained leather: rounded pebbles parted by creases, with fine pores, under light from one side."""
    cell = generator.uniform(9.0, 17.0)
    stretch = generator.uniform(0.8, 1.25)
    half = (math.ceil(size[0] / 2), math.ceil(size[1] / 2))
    inside = cell_borders(half, (cell * stretch / 2, cell / stretch / 2), generator)
    inside = as_field(cv2.resize(inside, (half[1] * 2, half[0] * 2), interpolation=cv2.INTER_CUBIC))
    pebble = np.sqrt(smooth_step(inside[: size[0], : size[1]], -0.15, 0.75))
    height = 3 * pebble + fractal_noise(size, [(cell * 3, 0.8), (cell / 3, 0.16), (1.6, 0.07)], generator)
    pattern = 1.5 * np.tanh(_shading(height, generator) * 1.3)
    pattern += 2.2 * (pebble - 0.8) + 0.2 * smooth_noise(size, 60.0, generator)
    level, contrast = generator.uniform(85, 145), generator.uniform(0.16, 0.24)
    return photograph(pattern, level=level, contrast=contrast, generator=generator)


def concrete(size: Size, generator: np.random.Generator) -> Field:
    """Smooth concrete or stone: cloudy cement, sand grains of mixed brightness, and small air holes."""
    clouds = fractal_noise(size, [(110, 0.6), (45, 0.45), (18, 0.3), (7, 0.25)], generator)
    sand = fractal_noise(size, [(3.2, 0.45), (1.6, 0.5)], generator)
    grains = smooth_step(smooth_noise(size, generator.uniform(4, 7), generator), 1.3, 2.3)
    grains *= smooth_noise(size, 12.0, generator) * 1.3
    holes = smooth_step(smooth_noise(size, generator.uniform(3, 5.5), generator), 2.4, 3.0)
    pattern = clouds + sand + grains - 2.6 * holes
    level, contrast = generator.uniform(115, 180), generator.uniform(0.065, 0.1)
    return photograph(pattern, level=level, contrast=contrast, generator=generator)


def paper(size: Size, generator: np.random.Generator) -> Field:
    """Uncoated paper or fleece: cloudy formation and a felt of fine fibres at all angles."""
    flocks = generator.uniform(10, 20)
    formation = fractal_noise(size, [(flocks * 3, 0.35), (flocks, 0.5), (flocks / 2.5, 0.4)], generator)
    pattern = formation + _fibres(size, generator) + 0.35 * smooth_noise(size, 1.5, generator)
    level, contrast = generator.uniform(160, 205), generator.uniform(0.03, 0.05)
    return photograph(pattern, level=level, contrast=contrast, generator=generator)


SURFACES: Mapping[str, Surface] = {
    surface.__name__: surface
    for surface in (
        woven_fabric, brushed_metal, cast_metal, wood_grain, turned_metal, leather, concrete, paper,
    )
}  # fmt: skip


def _upright(deviation_deg: float, generator: np.random.Generator) -> float:
    """An angle near 0° or 90°, as of a part laid before a camera by hand, in degrees."""
    return (90.0 if generator.random() < 0.5 else 0.0) + generator.normal(0, deviation_deg)


def _weave(size: Size, pitch: tuple[float, float], run: int, generator: np.random.Generator) -> Field:
    """Yarns of both directions; `run` is how many yarns each passes over (1 plain weave, 2 twill)."""
    rows, columns = grid(size)
    sway = generator.uniform(0.6, 1.4)
    v = (rows + sway * smooth_noise(size, (25, 140), generator)) / pitch[0]
    u = (columns + sway * smooth_noise(size, (140, 25), generator)) / pitch[1]
    weft, warp = np.floor(v), np.floor(u)
    phase = np.mod(weft + warp, 2 * run)
    v, u = v - weft, u - warp
    over = phase < run
    along = np.where(over, phase + v, phase - run + u) / run
    across = np.where(over, u, v)
    weft_shade = generator.uniform(0.75, 1)
    yarn = np.where(
        over,
        _by_number(warp, (0.85, 1.15), generator),
        weft_shade * _by_number(weft, (0.85, 1.15), generator),
    )
    fibres = np.where(over, smooth_noise(size, (7, 1.8), generator), smooth_noise(size, (1.8, 7), generator))
    twist = np.sin(2 * math.pi * (1.3 * run * along + 0.7 * across))
    round_yarn = np.sqrt(np.maximum(0, 1 - (2 * across - 1) ** 2))
    crown = 0.45 + 0.55 * np.sin(np.pi * np.clip(along, 0, 1))
    surface = yarn * round_yarn * crown * (1 + 0.14 * fibres + 0.09 * twist)
    lint = fractal_noise(size, [(60, 0.03), (1.5, 0.03)], generator)
    return as_field(surface + lint - 0.45)


def _streaks(size: Size, generator: np.random.Generator) -> Field:
    """Brush marks along x: many short fine ones, fewer long ones, rare deep hairlines, and bands of light."""
    layers = (((1, 30), 0.55), ((1.3, 110), 0.65), ((2.4, 260), 0.4), ((7, 500), 0.3), ((1, 5), 0.3))
    streaks = np.zeros(size, np.float32)
    for cell, deviation in layers:
        streaks += deviation * smooth_noise(size, cell, generator)
    hairlines = smooth_step(np.abs(smooth_noise(size, (1.2, 140.0), generator)), 2.4, 3.4)
    streaks += hairlines * smooth_noise(size, (3.0, 300.0), generator) * 1.6
    bands = generator.uniform(0.3, 0.8) * line_noise(size[0], 90.0, generator)[:, None]
    return streaks + bands


def _growth_rings(size: Size, pitch: float, generator: np.random.Generator) -> Field:
    """Rings along x, sharp on the late side; widths and darkness change from ring to ring."""
    rows, columns = grid(size)
    # The cut runs aslant through the trunk: near its apex the rings form arches.
    apex = size[1] * generator.uniform(-0.2, 1.2)
    bulge = ((columns - apex) / generator.uniform(350, 700)) ** 2
    middle = size[0] * generator.uniform(-0.6, 1.6)
    depth = np.hypot((rows - middle) / pitch, 2.5 + bulge)
    depth += generator.uniform(0.3, 0.7) * smooth_noise(size, (4 * pitch, 420.0), generator)
    depth += 0.07 * smooth_noise(size, (pitch * 0.7, 130.0), generator)
    ring = np.floor(depth)
    within = depth - ring
    late = within**2.5 * (1 - smooth_step(within, 0.86, 1.0)) * _by_number(ring, (0.35, 1.1), generator)
    fibres = 0.38 * smooth_noise(size, (1.2, 36.0), generator)
    fibres += 0.25 * smooth_noise(size, (3.5, 90.0), generator)
    pores = smooth_step(smooth_noise(size, (1.3, 16.0), generator), 1.5, 2.6) * (1 - 0.5 * late)
    return as_field(fibres - 3.6 * late - 1.3 * pores + 0.7)


def _by_number(number: Field, limits: tuple[float, float], generator: np.random.Generator) -> Field:
    """A value within `limits` for every yarn or ring, looked up by its number in each pixel."""
    first = int(number.min())
    values = as_field(generator.uniform(*limits, int(number.max()) - first + 1))
    return as_field(values[(number - first).astype(np.int32)])


def _tool_marks(radius: Field, angle: Field, generator: np.random.Generator) -> Field:
    """Grooves at every radius, some only along part of the turn, and light that depends on the angle."""
    inner = float(radius.min())
    count = math.ceil(float(radius.max()) - inner) + 3
    feed = generator.uniform(4.0, 9.0)
    turns = np.arange(count, dtype=np.float32) / feed + 0.06 * line_noise(count, 20, generator)
    grooves = 0.55 * np.sin(2 * math.pi * turns) * (1 + 0.4 * line_noise(count, 12, generator))
    for cell, deviation in ((1.2, 0.5), (4.0, 0.35), (25.0, 0.4)):
        grooves += deviation * line_noise(count, cell, generator)
    columns = 360
    arcs = 0.55 * smooth_noise((count, columns), (1.2, 40.0), generator) + grooves[:, None]
    first, last = float(angle.min()), float(angle.max())
    across = (angle - first) * ((columns - 1) / (last - first))
    marks = as_field(
        cv2.remap(arcs, across, radius - inner, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )
    fan = np.cos((angle - generator.uniform(first, last)) * generator.uniform(2.5, 5.0))
    fine = fractal_noise((radius.shape[0], radius.shape[1]), [(1.4, 0.3)], generator)
    return as_field(marks + generator.uniform(0.4, 1.2) * fan + fine)


def _fibres(size: Size, generator: np.random.Generator) -> Field:
    """Short bent lines at all angles, light and dark. returns: [H, W] of about half a unit's deviation"""
    count = size[0] * size[1] // 160
    light, dark = (_drawn_fibres(size, count, generator) for _ in range(2))
    return blurred(as_field(light) - as_field(dark), 0.5) / 140


def _drawn_fibres(size: Size, count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """`count` bent lines of four points each, anti-aliased. returns: [H, W], 255 on a line"""
    start = generator.uniform((0, 0), (size[1], size[0]), (count, 1, 2))
    bends = generator.normal(0, 0.5, (count, 3)).cumsum(axis=1)
    heading, step = generator.uniform(0, 2 * math.pi, (count, 1)) + bends, generator.uniform(3, 9, (count, 1))
    steps = np.stack([np.cos(heading) * step, np.sin(heading) * step], axis=-1)
    points = np.concatenate([start, start + steps.cumsum(axis=1)], axis=1)
    canvas = np.zeros(size, np.uint8)
    cv2.polylines(canvas, list(np.rint(points * 8).astype(np.int32)), False, 255, 1, cv2.LINE_AA, 3)
    return canvas


def _shading(height: Field, generator: np.random.Generator) -> Field:
    """Brightness of a relief under light from a random side. returns: [H, W], the slope towards the light"""
    angle = generator.uniform(0, 2 * math.pi)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return as_field(slope_x * math.cos(angle) + slope_y * math.sin(angle))
