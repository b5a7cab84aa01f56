"""Statistics of an image that tell whether it is like those of the training, within a millisecond at 1 Mpx.

They are taken from a grid of pixels and of their neighbours, 1 to 8 pixels away along rows, columns and
diagonals. In the descriptor most are logarithms, as light and contrast change by factors.
Shares of the full scale lie in [0, 1] for every type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.images.decode import largest_value, luminance

GRID = 128  # pixels along each side of the grid, about
LAGS = (1, 2, 4, 8)
DIAGONAL = 2
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
ENDS = (5 / 255, 250 / 255)  # below and above, a pixel counts as dark or as light
CHROMA = 2 / 255  # difference between channels above which an image is in colour
LEVEL, DEVIATION, STEP, MEAN = 0.05, 0.01, 0.002, 0.02  # added before a logarithm, against noise
CHROMA_WEIGHT = 10.0
DIMENSIONS = 2 + len(QUANTILES) + 2 * len(LAGS) + 2 + 2 + 4


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of an image, in shares of the full scale.

    size: (height, width); bits: of the stored type, 8 or 16; colour: whether the channels differ
    uniform: the value of every pixel where all are alike, else None
    brightness: mean; contrast: standard deviation; sharpness_rows, sharpness_columns: root mean square of the
        steps between neighbours along rows (along columns), as a share of those over four pixels
    descriptor: [DIMENSIONS]
    """

    size: tuple[int, int]
    bits: int
    colour: bool
    uniform: float | None
    brightness: float
    contrast: float
    sharpness_rows: float
    sharpness_columns: float
    descriptor: NDArray[np.float64]


def statistics_of(pixels: Pixels) -> ImageStatistics:
    """Statistics of an image [H, W] or [H, W, 3] uint8 or uint16, of any size."""
    top, size = largest_value(pixels), (pixels.shape[0], pixels.shape[1])
    grid = Grid.over(size)
    sampled = grid.at(pixels, 0, 0)
    chroma = chroma_of(sampled, top)
    single = pixels if pixels.ndim == 2 else pixels[..., 1]  # green has most of the luminance
    steps = list(steps_between(single, grid, top))
    mean, deviation, quantiles, ends = level_shares(luminance(sampled), top)
    means = np.array([step.mean for step in steps])
    descriptor = [np.log(mean + MEAN), *np.log(quantiles + LEVEL), np.log(deviation + DEVIATION)]
    descriptor += [*np.log((means + STEP) / (deviation + DEVIATION)), *np.sqrt(ends), *chroma.descriptor]
    along, squares = len(LAGS), np.array([step.root_mean_square for step in steps]) + STEP
    return ImageStatistics(
        size=size,
        bits=8 * pixels.dtype.itemsize,
        colour=chroma.visible,
        uniform=uniform_value(pixels),
        brightness=float(mean),
        contrast=float(deviation),
        sharpness_rows=float(squares[0] / squares[2]),
        sharpness_columns=float(squares[along] / squares[along + 2]),
        descriptor=np.array(descriptor),
    )


@dataclass(frozen=True)
class Grid:
    """Pixels that are looked at, so many rows and columns apart; each has neighbours up to `reach` away."""

    rows: int
    columns: int
    step: tuple[int, int]
    reach: tuple[int, int]

    @classmethod
    def over(cls, size: tuple[int, int]) -> Grid:
        """Grid over an image of that (height, width)."""
        height, width = size
        reach = min(max(LAGS), height // 2), min(max(LAGS), width // 2)
        step = max(1, height // GRID), max(1, width // GRID)
        return cls(height - reach[0], width - reach[1], step, reach)

    def at(self, pixels: Pixels, down: int, right: int) -> Pixels:
        """Neighbours of the grid's pixels, so far down and right, or as far as the image allows."""
        down, right = min(down, self.reach[0]), min(right, self.reach[1])
        rows = slice(down, down + self.rows, self.step[0])
        columns = slice(right, right + self.columns, self.step[1])
        own: Pixels = pixels[rows, columns]
        return own.copy()


@dataclass(frozen=True)
class Step:
    """Difference between neighbours, as a share of the full scale."""

    mean: float
    root_mean_square: float

    @classmethod
    def between(cls, first: Pixels, second: Pixels, top: int) -> Step:
        mean = cv2.norm(first, second, cv2.NORM_L1) / (first.size * top)
        return cls(mean, cv2.norm(first, second, cv2.NORM_L2) / (first.size**0.5 * top))


def steps_between(pixels: Pixels, grid: Grid, top: int) -> Iterator[Step]:
    """Steps along rows by each lag, along columns, and along the two diagonals. pixels: [H, W]"""
    own = grid.at(pixels, 0, 0)
    for lag in LAGS:
        yield Step.between(own, grid.at(pixels, 0, lag), top)
    for lag in LAGS:
        yield Step.between(own, grid.at(pixels, lag, 0), top)
    yield Step.between(own, grid.at(pixels, DIAGONAL, DIAGONAL), top)
    yield Step.between(grid.at(pixels, DIAGONAL, 0), grid.at(pixels, 0, DIAGONAL), top)


def level_shares(
    gray: Pixels, top: int
) -> tuple[np.float64, np.float64, NDArray[np.float64], NDArray[np.float64]]:
    """Mean, standard deviation, quantiles, and the shares of dark and of light pixels of [H, W]."""
    mean, deviation = (value.item() / top for value in cv2.meanStdDev(gray))
    levels = (gray >> 8 if top > 255 else gray).astype(np.uint8, copy=False)
    below = np.cumsum(np.bincount(levels.ravel(), minlength=256)) / gray.size
    quantiles = np.searchsorted(below, QUANTILES) / 255
    dark = below[round(255 * ENDS[0])]
    light = 1 - below[round(255 * ENDS[1]) - 1]
    return np.float64(mean), np.float64(deviation), quantiles, np.array([dark, light])


@dataclass(frozen=True)
class Chroma:
    """Colour of an image. visible: whether there is any; descriptor: [4]"""

    visible: bool
    descriptor: tuple[float, ...]


def chroma_of(sampled: Pixels, top: int) -> Chroma:
    """Colour of pixels [H, W] or [H, W, 3], by how far red and blue are from green."""
    if sampled.ndim == 2:
        gray = float(np.log(DEVIATION))
        return Chroma(False, (0.0, 0.0, gray, gray))
    red, green, blue = cv2.split(sampled)
    apart = [cv2.subtract(each, green, dtype=cv2.CV_32F) for each in (red, blue)]
    visible = any(cv2.norm(each, cv2.NORM_INF) > CHROMA * top for each in apart)
    moments = [[value.item() / top for value in cv2.meanStdDev(each)] for each in apart]
    means = [CHROMA_WEIGHT * mean for mean, _ in moments]
    deviations = [deviation for _, deviation in moments]
    return Chroma(visible, (*means, *(float(np.log(value + DEVIATION)) for value in deviations)))


def uniform_value(pixels: Pixels) -> float | None:
    """Value of every pixel, as a share of the full scale, where all are alike; else None."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    rows = pixels.reshape(-1, channels)
    if (rows[:: max(1, len(rows) // 64)] != rows[0]).any():  # nearly every image ends here
        return None
    values = rows.reshape(-1)
    if (values[channels:] != values[:-channels]).any():
        return None
    return float(luminance(pixels[:1, :1]).item() / largest_value(pixels))
