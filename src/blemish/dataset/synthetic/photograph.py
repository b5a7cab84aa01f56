"""Photographing a surface: uneven light, vignette, lens blur, soft ends of the scale, noise.

Gray levels are those of an 8-bit image, 0 to 255, float until `expose` quantises them. Shape letters: H, W.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Size
from blemish.dataset.synthetic.noise import Field, as_field, blurred, grid, smooth_noise

DARKEST, BRIGHTEST = 4.0, 251.0  # a well exposed image touches neither end
KNEE_LOW, KNEE_HIGH = 24.0, 230.0  # between these the sensor is linear


@dataclass(frozen=True)
class Sensor:
    """Noise of one camera at one gain: standard deviation² = read² + shot · gray level, in gray levels."""

    read: float
    shot: float


def photograph(pattern: Field, *, level: float, contrast: float, generator: np.random.Generator) -> Field:
    """Image of a surface before sensor noise: reflectance × light, through a lens, within range.

    pattern: [H, W], relative reflectance of about zero mean and unit deviation
    level: mean gray level before the light falls off; contrast: share of it that one unit of `pattern` makes
    returns: [H, W] in DARKEST..BRIGHTEST
    """
    size = (pattern.shape[0], pattern.shape[1])
    light = level * (1 + contrast * pattern) * illumination(size, generator)
    image = blurred(light, generator.uniform(0.4, 0.75))
    return as_field(within_range(image))


def illumination(size: Size, generator: np.random.Generator) -> Field:
    """Uneven light: a slope across the image, slow clouds, and a vignette. returns: [H, W] about 1"""
    rows, columns = grid(size)
    reach = max(size) / 2
    center_y, center_x = (side * generator.uniform(0.35, 0.65) for side in size)
    y, x = (rows - center_y) / reach, (columns - center_x) / reach
    angle, slope = generator.uniform(0, 2 * math.pi), generator.uniform(0.02, 0.13)
    light = slope * math.sin(angle) * y + slope * math.cos(angle) * x
    vignette = generator.uniform(0.03, 0.13) * (x * x + y * y)
    clouds = generator.uniform(0.005, 0.025) * smooth_noise(size, max(64.0, reach), generator)
    return 1 + light - vignette + clouds


def within_range(image: Field) -> Field:
    """Image with both ends of the gray scale rolled off softly, as a film or a well set camera does."""
    below, above = KNEE_LOW - DARKEST, BRIGHTEST - KNEE_HIGH
    dark = KNEE_LOW - below * np.tanh((KNEE_LOW - image) / below)
    bright = KNEE_HIGH + above * np.tanh((image - KNEE_HIGH) / above)
    return np.where(image < KNEE_LOW, dark, np.where(image > KNEE_HIGH, bright, image))


def draw_sensor(generator: np.random.Generator) -> Sensor:
    """A camera between a good one at low gain and a plain one at higher gain."""
    return Sensor(read=generator.uniform(0.5, 1.3), shot=generator.uniform(0.004, 0.02))


def sensor_noise(size: Size, generator: np.random.Generator) -> Field:
    """White noise of unit deviation, for images that differ in nothing but a defect. returns: [H, W]"""
    return generator.standard_normal(size, dtype=np.float32)


def expose(image: Field, noise: Field, sensor: Sensor) -> NDArray[np.uint8]:
    """8-bit image: `noise` scaled by the sensor and the gray level, rounded. returns: [H, W]"""
    deviation = np.sqrt((sensor.read**2) + sensor.shot * image)
    quantised: NDArray[np.uint8] = np.clip(np.rint(image + noise * deviation), 0, 255).astype(np.uint8)
    return quantised
