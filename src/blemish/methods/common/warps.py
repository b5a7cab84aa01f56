"""Affine and elastic warps of a training image together with its mask.

Deviation from usual practice: pixels that a warp brings in from beyond the image mirror it, and are no ground
truth. Source: Tao et al. 2018, section 5.1; elastic distortion: Simard et al. 2003.
Letters: H, W of an image; s side of the warped patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, radians, sin
from typing import Protocol

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from blemish.arrays import Pixels, Point

BACKGROUND, DEFECT, IGNORED = 0, 1, -1  # values of a truth map; IGNORED: beyond the image
GRID_PER_SIGMA = 4  # steps of the grid on which the elastic field is drawn, before it is interpolated


class WarpRanges(Protocol):
    """Ranges of the changes of a warp; settings with these fields are such ranges.

    rotation_deg: greatest turn; translation: greatest shift as a share of the side; zoom, shear: greatest
    change, as a share; flips: on either axis; elastic_alpha: root mean square displacement along each axis,
    elastic_sigma: of the Gaussian that smooths it, both in pixels
    """

    @property
    def rotation_deg(self) -> float: ...

    @property
    def translation(self) -> float: ...

    @property
    def zoom(self) -> float: ...

    @property
    def shear(self) -> float: ...

    @property
    def flips(self) -> bool: ...

    @property
    def elastic_alpha(self) -> float: ...

    @property
    def elastic_sigma(self) -> float: ...


@dataclass(frozen=True)
class Warp:
    """Warp of an image and its mask. places_xy: [s, s, 2], where each pixel is read, from the centre"""

    places_xy: NDArray[np.float32]

    def image(self, pixels: Pixels, center_xy: Point) -> Pixels:
        """Warped patch [s, s(, C)] about center_xy (pixel edges) of [H, W(, C)], mirrored beyond it."""
        return read_at(pixels, *self.columns_and_rows(center_xy))

    def truth(self, mask: NDArray[np.bool_], center_xy: Point) -> NDArray[np.int64]:
        """Truth [s, s] of a mask [H, W], warped as by `image`: DEFECT, BACKGROUND, or IGNORED beyond it.

        A defect in the patch keeps a pixel, however it falls between them; see `keep_small_masks`.
        """
        columns, rows = self.columns_and_rows(center_xy)
        coverage = read_at(mask.view(np.uint8) * np.uint8(255), columns, rows)
        height, width = mask.shape
        inside = (np.abs(columns - (width - 1) / 2) <= width / 2) & (
            np.abs(rows - (height - 1) / 2) <= height / 2
        )
        defect = keep_small_masks(np.where(inside, coverage, 0).astype(np.float32))
        return np.where(inside, defect, IGNORED).astype(np.int64)

    def columns_and_rows(self, center_xy: Point) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Columns and rows of the pixels to read, [s, s] each; a pixel's centre lies half a pixel further."""
        x, y = (np.float32(value - 0.5) for value in center_xy)
        return self.places_xy[..., 0] + x, self.places_xy[..., 1] + y


def draw_warp(side: int, ranges: WarpRanges, generator: Generator) -> Warp:
    """Draw a warp to [side, side] with every change that the ranges allow; without any it is the identity."""
    matrix = draw_affine(ranges, generator)
    shift = generator.uniform(-ranges.translation, ranges.translation, 2) * side
    offsets = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
    drawn_xy = np.stack(np.meshgrid(offsets, offsets), axis=-1) - shift.astype(np.float32)
    if ranges.elastic_alpha > 0:
        drawn_xy += elastic_field(
            side, alpha=ranges.elastic_alpha, sigma=ranges.elastic_sigma, generator=generator
        )
    return Warp(cv2.transform(drawn_xy, matrix))


def draw_affine(ranges: WarpRanges, generator: Generator) -> NDArray[np.float64]:
    """Draw a matrix [2, 2] from offsets in the patch to offsets in the image: mirror, zoom, shear, turn."""
    turn = radians(generator.uniform(-ranges.rotation_deg, ranges.rotation_deg))
    slant = generator.uniform(-ranges.shear, ranges.shear)
    zoom = generator.uniform(1 - ranges.zoom, 1 + ranges.zoom)
    across, down = generator.integers(2, size=2) if ranges.flips else (0, 0)
    rotation = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    shear = np.array([[1.0, slant], [0.0, 1.0]])
    return rotation @ shear @ np.diag([1.0 - 2 * across, 1.0 - 2 * down]) / zoom


def elastic_field(side: int, *, alpha: float, sigma: float, generator: Generator) -> NDArray[np.float32]:
    """Draw displacements [side, side, 2] smoothed by a Gaussian, of root mean square `alpha` on each axis.

    sigma: of the Gaussian, in pixels. Simard et al. leave open what their α scales; a length can be seen.
    Source: Simard et al. 2003, section 2.
    """
    step = max(1, int(sigma / GRID_PER_SIGMA))
    smooth = sigma / step
    margin = ceil(3 * smooth) + 1  # the filter sees no border, near which it would smooth less
    points = ceil(side / step) + 1 + 2 * margin
    noise = generator.standard_normal((points, points, 2), np.float32)
    kernel = cv2.getGaussianKernel(2 * margin + 1, smooth, cv2.CV_32F)
    field = cv2.sepFilter2D(noise, -1, kernel, kernel)[margin:-margin, margin:-margin]
    # Smoothing white noise in two directions leaves it with the kernel's sum of squares as deviation.
    field *= np.float32(alpha / np.square(kernel).sum())
    fine = (field.shape[1] * step, field.shape[0] * step)
    return cv2.resize(field, fine, interpolation=cv2.INTER_CUBIC)[:side, :side]


def keep_small_masks(coverage: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mask of the pixels that a defect covers at least half as much as the pixel that it covers most.

    For defects larger than a pixel that is half of it; smaller ones keep their place and do not vanish,
    unless they touch the pixels of a larger one and count as part of it.
    coverage: [H, W], at least 0, the share of each pixel that is marked, in any unit
    """
    count, regions = cv2.connectedComponents((coverage > 0).view(np.uint8), connectivity=8)
    covered = regions > 0
    greatest = np.zeros(count, np.float32)
    np.maximum.at(greatest, regions[covered], coverage[covered])
    return covered & (coverage >= greatest[regions] / 2)


def affine_patch(image: Pixels, matrix: NDArray[np.float64], side: int) -> Pixels:
    """Patch [side, side(, C)] by a matrix [2, 3] from image to patch; mirrored beyond the image."""
    return cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def read_at(pixels: Pixels, columns: NDArray[np.float32], rows: NDArray[np.float32]) -> Pixels:
    """Linearly interpolated values at places [s, s], mirrored into the image first.

    Only the part that is read goes to OpenCV, which cannot remap images of more than 32767 pixels a side.
    """
    columns, left, right = folded(columns, pixels.shape[1])
    rows, top, bottom = folded(rows, pixels.shape[0])
    part = pixels[top:bottom, left:right]
    return cv2.remap(part, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def folded(places: NDArray[np.float32], length: int) -> tuple[NDArray[np.float32], int, int]:
    """Mirror places about the first and last pixel into an axis; returns them counted from the part
    [start, stop) of the axis that holds them, and that part.
    """
    last = np.float32(length - 1)
    if max(-places.min(), places.max() - last) > last:  # beyond one mirror image of it: fold by its period
        places = places % (2 * last) if length > 1 else np.zeros_like(places)
    inside = last - np.abs(last - np.abs(places))
    start, stop = int(inside.min()), min(length, int(inside.max()) + 2)
    return inside - np.float32(start), start, stop
