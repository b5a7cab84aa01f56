"""Photometric augmentation: contrast, illumination and noise in units of full scale."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from blemish.arrays import Pixels


class PhotometricRanges(Protocol):
    """Ranges of the changes; settings with these fields are such ranges.

    contrast: greatest change, as a share, of the distance from the mean; illumination: greatest shift
    noise: greatest sigma
    """

    @property
    def contrast(self) -> float: ...

    @property
    def illumination(self) -> float: ...

    @property
    def noise(self) -> float: ...


def photometric_jitter(image: Pixels, generator: Generator, ranges: PhotometricRanges) -> NDArray[np.float32]:
    """Draw a change of contrast, illumination and noise; returns planes [C, H, W].

    image: [H, W] or [H, W, C]; its values are scaled to [0, 1], which a strong change leaves
    """
    unit = image.astype(np.float32) / np.iinfo(image.dtype).max
    mean = unit.mean()
    unit = (unit - mean) * np.float32(1 + generator.uniform(-ranges.contrast, ranges.contrast)) + mean
    unit += np.float32(generator.uniform(-ranges.illumination, ranges.illumination))
    sigma = np.float32(generator.uniform(0, ranges.noise))
    unit += sigma * generator.standard_normal(unit.shape, np.float32)
    return unit[None] if unit.ndim == 2 else np.ascontiguousarray(unit.transpose(2, 0, 1))
