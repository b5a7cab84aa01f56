"""A training picture under another light: contrast, illumination and noise in units of full scale."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from blemish.arrays import Pixels


def relit(
    image: Pixels, generator: Generator, *, contrast: float, illumination: float, noise: float
) -> NDArray[np.float32]:
    """The picture as planes [C, H, W] about [0, 1], which a strong change leaves; draws follow the generator.

    contrast: greatest change, as a share, of the distance from the mean; illumination: greatest shift
    noise: greatest sigma
    """
    unit = image.astype(np.float32) / np.iinfo(image.dtype).max
    mean = unit.mean()
    unit = (unit - mean) * np.float32(1 + generator.uniform(-contrast, contrast)) + mean
    unit += np.float32(generator.uniform(-illumination, illumination))
    sigma = np.float32(generator.uniform(0, noise))
    unit += sigma * generator.standard_normal(unit.shape, np.float32)
    return unit[None] if unit.ndim == 2 else np.ascontiguousarray(unit.transpose(2, 0, 1))
