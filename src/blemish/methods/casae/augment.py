"""A few images grown to thousands: each is turned, moved, zoomed, sheared and bent as it is drawn.

Source: Tao et al. 2018, section 5.1, with the elastic distortion of Simard et al. 2003. The paper stores 3000
altered images; here each draw is a new one, and all changes together read the image once. Deviation: what a
change brings in from beyond the image mirrors it, and is no ground truth. Letters: s side of what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, radians, sin

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.methods.casae.settings import Settings
from blemish.methods.casae.truth import IGNORED, kept

GRID_PER_SIGMA = 4  # steps of the grid on which the elastic field is drawn, before it is interpolated

Point = tuple[float, float]


@dataclass(frozen=True)
class Warp:
    """Where each drawn pixel is read. places_xy: [s, s, 2], pixels from the middle of what is drawn"""

    places_xy: NDArray[np.float32]

    def image(self, pixels: Pixels, center_xy: Point) -> Pixels:
        """[s, s(, C)] about center_xy (pixel edges) of [H, W(, C)], linear; mirrored beyond the image."""
        return read_at(pixels, *self.columns_and_rows(center_xy))

    def truth(self, mask: NDArray[np.bool_], center_xy: Point) -> NDArray[np.int64]:
        """[s, s] of a mask [H, W], as `image` moves its pixels: 1 defect, 0 none, −1 beyond the image.

        A defect in the drawn part keeps a pixel, however it falls between them; see `kept`.
        """
        columns, rows = self.columns_and_rows(center_xy)
        coverage = read_at(mask.view(np.uint8) * np.uint8(255), columns, rows)
        height, width = mask.shape
        inside = (np.abs(columns - (width - 1) / 2) <= width / 2) & (
            np.abs(rows - (height - 1) / 2) <= height / 2
        )
        defect = kept(np.where(inside, coverage, 0).astype(np.float32))
        return np.where(inside, defect, IGNORED).astype(np.int64)

    def columns_and_rows(self, center_xy: Point) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """[s, s] each: numbers of the pixels to be read, whose centres lie half a pixel further."""
        x, y = (np.float32(value - 0.5) for value in center_xy)
        return self.places_xy[..., 0] + x, self.places_xy[..., 1] + y


def draw_warp(side: int, settings: Settings, generator: Generator) -> Warp:
    """A warp to [side, side] with every change the settings allow; with none of them it changes nothing."""
    matrix = affine(settings, generator)
    shift = generator.uniform(-settings.translation, settings.translation, 2) * side
    offsets = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
    drawn_xy = np.stack(np.meshgrid(offsets, offsets), axis=-1) - shift.astype(np.float32)
    if settings.elastic_alpha > 0:
        drawn_xy += elastic_field(
            side, alpha=settings.elastic_alpha, sigma=settings.elastic_sigma, generator=generator
        )
    return Warp(cv2.transform(drawn_xy, matrix))


def affine(settings: Settings, generator: Generator) -> NDArray[np.float64]:
    """[2, 2]: from an offset in what is drawn to one in the image; mirrored, zoomed, sheared, turned."""
    turn = radians(generator.uniform(-settings.rotation_deg, settings.rotation_deg))
    slant = generator.uniform(-settings.shear, settings.shear)
    zoom = generator.uniform(1 - settings.zoom, 1 + settings.zoom)
    across, down = generator.integers(2, size=2) if settings.flips else (0, 0)
    rotation = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    shear = np.array([[1.0, slant], [0.0, 1.0]])
    return rotation @ shear @ np.diag([1.0 - 2 * across, 1.0 - 2 * down]) / zoom


def elastic_field(side: int, *, alpha: float, sigma: float, generator: Generator) -> NDArray[np.float32]:
    """[side, side, 2]: random displacements smoothed by a Gaussian, of root mean square `alpha` on each axis.

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


def read_at(pixels: Pixels, columns: NDArray[np.float32], rows: NDArray[np.float32]) -> Pixels:
    """Linear values at [s, s] places, mirrored into the image first.

    Only the part that is read goes to OpenCV, which cannot remap images of more than 32767 pixels a side.
    """
    columns, left, right = folded(columns, pixels.shape[1])
    rows, top, bottom = folded(rows, pixels.shape[0])
    part = pixels[top:bottom, left:right]
    return cv2.remap(part, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def folded(places: NDArray[np.float32], length: int) -> tuple[NDArray[np.float32], int, int]:
    """Places mirrored about the first and last pixel into an axis, counted from its part [start, stop) that
    holds them.
    """
    last = np.float32(length - 1)
    if max(-places.min(), places.max() - last) > last:  # beyond one mirror image of it: fold by its period
        places = places % (2 * last) if length > 1 else np.zeros_like(places)
    inside = last - np.abs(last - np.abs(places))
    start, stop = int(inside.min()), min(length, int(inside.max()) + 2)
    return inside - np.float32(start), start, stop
