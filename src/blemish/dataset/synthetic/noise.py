"""Random fields from which the procedural surfaces are built: smooth, stretched, rotated and cellular noise.

Everything is drawn on a coarse lattice, smoothed there and enlarged, so the cost does not grow with the
feature size, and no lattice is repeated, so nothing tiles. Shape letters: H, W.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Size

Field = NDArray[np.floating[Any]]  # float32 wherever it is large


def smooth_noise(size: Size, cell: float | tuple[float, float], generator: np.random.Generator) -> Field:
    """Gaussian noise of zero mean and unit variance whose features measure about `cell` pixels.

    cell: ≥ 1; a pair is (vertical, horizontal)
    returns: [H, W]
    """
    cells = cell if isinstance(cell, tuple) else (cell, cell)
    # Half a cell between lattice points, smoothed by one point: the enlargement then shows no lattice.
    spacings = [max(1.0, extent / 2) for extent in cells]
    sigmas = [max(0.3, extent / 2 / spacing) for extent, spacing in zip(cells, spacings, strict=True)]
    points = [math.ceil(side / spacing) + 3 for side, spacing in zip(size, spacings, strict=True)]
    lattice: Field = generator.standard_normal((points[0], points[1]), dtype=np.float32)
    kernels = [_unit_power_kernel(sigma) for sigma in sigmas]
    lattice = as_field(cv2.sepFilter2D(lattice, -1, kernels[1], kernels[0]))
    if max(spacings) > 1:
        enlarged = [round(count * spacing) for count, spacing in zip(points, spacings, strict=True)]
        lattice = as_field(cv2.resize(lattice, (enlarged[1], enlarged[0]), interpolation=cv2.INTER_CUBIC))
    spare = [have - need for have, need in zip(lattice.shape, size, strict=True)]
    top, left = (int(generator.integers(0, count + 1)) for count in spare)
    return np.ascontiguousarray(lattice[top : top + size[0], left : left + size[1]])


def fractal_noise(size: Size, layers: Sequence[tuple[float, float]], generator: np.random.Generator) -> Field:
    """Sum of smooth noises, one for each (cell in pixels, standard deviation) of `layers`. returns: [H, W]"""
    total = np.zeros(size, np.float32)
    for cell, deviation in layers:
        total += deviation * smooth_noise(size, cell, generator)
    return total


def line_noise(length: int, cell: float, generator: np.random.Generator) -> Field:
    """Smooth noise along a line, of unit variance. returns: [length]"""
    white = generator.standard_normal((1, length), dtype=np.float32)
    kernel = _unit_power_kernel(max(0.3, cell / 2))
    line: Field = as_field(cv2.filter2D(white, -1, kernel.reshape(1, -1)))[0]
    return line


def blurred(field: Field, sigma: float) -> Field:
    """Gaussian blur of `sigma` pixels; the border is mirrored. returns: [H, W]"""
    return as_field(cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))


def as_field(values: NDArray[Any]) -> Field:
    """Array as float32, which OpenCV's annotations do not promise."""
    return np.asarray(values, dtype=np.float32)


def grid(size: Size) -> tuple[Field, Field]:
    """Row and column of every pixel, as float32. returns: [H, 1] and [1, W], to be broadcast"""
    rows = np.arange(size[0], dtype=np.float32)[:, None]
    return rows, np.arange(size[1], dtype=np.float32)[None, :]


def rotated(size: Size, angle_deg: float, draw: Callable[[Size], Field]) -> Field:
    """Field that `draw` makes on a larger canvas, turned by `angle_deg`, cut to `size`. returns: [H, W]"""
    sine, cosine = math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
    height, width = size
    canvas = (
        math.ceil(height * abs(cosine) + width * abs(sine)) + 4,
        math.ceil(height * abs(sine) + width * abs(cosine)) + 4,
    )
    to_canvas = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0]])
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    to_canvas[:, 2] = np.array([(canvas[1] - 1) / 2, (canvas[0] - 1) / 2]) - to_canvas[:, :2] @ center
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return as_field(cv2.warpAffine(draw(canvas), to_canvas, (width, height), flags=flags))


def cell_borders(size: Size, cell: tuple[float, float], generator: np.random.Generator) -> Field:
    """How far inside its cell of a random cellular pattern each pixel is: second less first nearest distance.

    cell: mean (height, width) of a cell in pixels
    returns: [H, W], 0 on the borders, about 1 in the middle of large cells
    """
    rows, columns = math.ceil(size[0] / cell[0]) + 4, math.ceil(size[1] / cell[1]) + 4
    seeds = generator.uniform(0.08, 0.92, (2, rows, columns)).astype(np.float32)
    y, x = grid(size)
    y, x = y / (cell[0]) + 2, x / (cell[1]) + 2
    # Warped coordinates make borders curved, as in a hide, instead of straight.
    y = y + 0.2 * smooth_noise(size, (cell[0] * 1.3, cell[1] * 1.3), generator)
    x = x + 0.2 * smooth_noise(size, (cell[0] * 1.3, cell[1] * 1.3), generator)
    row, column = y.astype(np.int32), x.astype(np.int32)
    y, x = y - np.floor(y), x - np.floor(x)
    nearest = np.full(size, np.inf, np.float32)
    second = np.full(size, np.inf, np.float32)
    padded = np.pad(seeds, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    for step in np.ndindex(3, 3):
        near_row, near_column = (row + step[0]).clip(0, rows + 1), (column + step[1]).clip(0, columns + 1)
        index = near_row * (columns + 2) + near_column
        dy = padded[0].ravel()[index] + (step[0] - 1) - y
        dx = padded[1].ravel()[index] + (step[1] - 1) - x
        distance = cv2.magnitude(dy, dx)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return as_field(second - nearest)


def smooth_step(values: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a smooth S between."""
    ramp = np.clip((values - low) / (high - low), 0, 1)
    return as_field(ramp * ramp * (3 - 2 * ramp))


def _unit_power_kernel(sigma: float) -> Field:
    """A Gaussian scaled so that white noise keeps its variance."""
    reach = max(1, math.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / sigma) ** 2)
    return np.asarray(kernel / np.sqrt(np.sum(kernel**2)), dtype=np.float32)
