"""Photometric augmentation: slow light, gamma, contrast, illumination, blur, noise and JPEG artefacts.

They come in the order in which a camera causes them. Letters: H, W of an image, C channels.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from blemish.arrays import Pixels

LIGHT_GRID = 3  # points a side between which the slow light is interpolated
JPEG_QUALITIES = 30, 95  # lowest and highest


class PhotometricRanges(Protocol):
    """Ranges of the changes; settings with these fields are such ranges. Nothing is drawn for those from
    `light_field` on where they are 0.

    contrast: greatest change, as a share, of the distance from the mean; illumination: greatest shift
    noise: greatest sigma, as the shift in units of full scale
    light_field: greatest share by which light that varies slowly over the image brightens or darkens it
    gamma: the exponent of brightness is between 1 / (1 + this) and 1 + this
    blur: greatest sigma, in pixels; jpeg: share of images that are compressed with loss
    """

    @property
    def contrast(self) -> float: ...

    @property
    def illumination(self) -> float: ...

    @property
    def noise(self) -> float: ...

    @property
    def light_field(self) -> float: ...

    @property
    def gamma(self) -> float: ...

    @property
    def blur(self) -> float: ...

    @property
    def jpeg(self) -> float: ...


def photometric_jitter(image: Pixels, generator: Generator, ranges: PhotometricRanges) -> NDArray[np.float32]:
    """Draw a change of light, contrast, sharpness, noise and compression; returns planes [C, H, W].

    image: [H, W] or [H, W, C]; its values are scaled to [0, 1], which a strong change leaves
    """
    unit = image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    if ranges.light_field > 0:
        unit *= light_field(unit.shape, generator.uniform(0, ranges.light_field), generator)
    if ranges.gamma > 0:
        limit = np.log1p(ranges.gamma)
        unit **= np.float32(np.exp(generator.uniform(-limit, limit)))
    mean = unit.mean()
    unit = (unit - mean) * np.float32(1 + generator.uniform(-ranges.contrast, ranges.contrast)) + mean
    unit += np.float32(generator.uniform(-ranges.illumination, ranges.illumination))
    if ranges.blur > 0:
        sigma = max(1e-3, generator.uniform(0, ranges.blur))
        unit = cv2.GaussianBlur(unit, (0, 0), sigma).reshape(unit.shape)  # an axis of one gets lost
    deviation = np.float32(generator.uniform(0, ranges.noise))
    unit += deviation * generator.standard_normal(unit.shape, np.float32)
    if ranges.jpeg > 0 and generator.random() < ranges.jpeg:
        unit = compressed(unit, int(generator.integers(JPEG_QUALITIES[0], JPEG_QUALITIES[1] + 1)))
    return unit[None] if unit.ndim == 2 else np.ascontiguousarray(unit.transpose(2, 0, 1))


def light_field(shape: tuple[int, ...], strength: float, generator: Generator) -> NDArray[np.float32]:
    """Draw factors [H, W], or [H, W, 1] for a colour image, between 1 − strength and 1 + strength, that vary
    slowly over the image. shape: of the image
    """
    points = generator.uniform(-1, 1, (LIGHT_GRID, LIGHT_GRID)).astype(np.float32)
    field = cv2.resize(points, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    smooth = cv2.blur(field, (shape[1] // 4 + 1, shape[0] // 4 + 1))  # the grid's edges do not show
    return (1 + np.float32(strength) * smooth).reshape(*shape[:2], *(1 for _ in shape[2:]))


def compressed(unit: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    """Image [H, W] or [H, W, 1 or 3] in [0, 1] after JPEG compression; values beyond are cut off."""
    stored = np.rint(unit.clip(0, 1) * 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    return decoded.astype(np.float32).reshape(unit.shape) / 255
