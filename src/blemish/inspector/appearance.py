"""Appearance of the training images as bundles knew it before there were statistics with limits of their own.

Black, blank, overexposed, far too dark, or out of focus: an image far outside what the training images looked
like is for a person. Far is a factor of two, and of three for sharpness, as no more than the lowest and the
highest value of each is known. A bundle of 0.1 knows none: then only images that show nothing are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from blemish.arrays import Pixels
from blemish.bundle.manifest import Strict
from blemish.images.decode import largest_value, luminance

KEY = "looks"  # in a manifest's `data`
SAMPLED = 1 << 16  # pixels that brightness and contrast are taken from
FACTOR = 2.0
SIDE_FACTOR, SHARPNESS_FACTOR = 4, 3.0
LEAST_DEVIATION, LEAST_SIDE = 1.0, 8  # levels of 255 and pixels, where nothing is known of the training


@dataclass(frozen=True)
class Appearance:
    """Appearance of an image. brightness: mean in [0, 1]; contrast: standard deviation in [0, 0.5]

    side: the shorter one, in pixels; sharpness: mean difference of neighbouring pixels, in [0, 1]
    """

    brightness: float
    contrast: float
    side: int
    sharpness: float


def appearance_of(pixels: Pixels) -> Appearance:
    """Appearance of an image [H, W] or [H, W, 3], from some of its pixels, evenly spread."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / SAMPLED) ** 0.5))
    some = luminance(pixels[::step, ::step].copy()) / largest_value(pixels)
    differences = np.zeros(0)
    if pixels.shape[1] > 1:  # a column of pixels has no neighbours
        beside = luminance(pixels[::step, 1::step].copy()) / largest_value(pixels)
        differences = np.abs(some[:, : beside.shape[1]] - beside)
    return Appearance(
        brightness=float(some.mean()),
        contrast=float(some.std()) if pixels.max() > pixels.min() else 0.0,
        side=min(pixels.shape[:2]),
        sharpness=float(differences.mean()) if differences.size else 0.0,
    )


class KnownAppearance(Strict):
    """Looks of the images that a bundle was trained on: the lowest and the highest of each.

    images: how many were looked at; 0: nothing is known, as of bundles of 0.1
    """

    images: int = Field(0, ge=0)
    brightness: tuple[float, float] = (0.0, 1.0)
    contrast: tuple[float, float] = (0.0, 0.5)
    side: int = Field(1, ge=1)
    sharpness: tuple[float, float] = (0.0, 1.0)

    def reasons(self, pixels: Pixels, *, whole: bool = True) -> tuple[str, ...]:
        """Sentences on each way in which an image is unlike those of the training, see `InputCheck`."""
        return tuple(self.ways_unlike(appearance_of(pixels), whole=whole))

    def ways_unlike(self, appearance: Appearance, *, whole: bool) -> Iterator[str]:
        dark, bright = self.brightness
        weak, strong = self.contrast
        if not appearance.contrast and not (self.images and weak == 0):
            yield f"all pixels are alike ({level(appearance.brightness)} of 255)"
        if not self.images:
            yield from reasons_of_none(appearance, whole=whole)
            return
        if appearance.brightness * FACTOR < dark:
            yield self.sentence("darker", "mean", appearance.brightness, self.brightness)
        if (1 - appearance.brightness) * FACTOR < 1 - bright:
            yield self.sentence("brighter", "mean", appearance.brightness, self.brightness)
        if appearance.contrast > 0 and appearance.contrast * FACTOR < weak:
            yield self.sentence("weaker in contrast", "deviation", appearance.contrast, self.contrast)
        if appearance.contrast > FACTOR * strong:
            yield self.sentence("stronger in contrast", "deviation", appearance.contrast, self.contrast)
        if appearance.contrast > 0 and appearance.sharpness * SHARPNESS_FACTOR < self.sharpness[0]:
            yield self.sentence("less sharp", "step between pixels", appearance.sharpness, self.sharpness)
        if whole and appearance.side * SIDE_FACTOR < self.side:
            yield f"far smaller than every training image: {appearance.side} px, training from {self.side} px"

    def sentence(self, how: str, what: str, value: float, known: tuple[float, float]) -> str:
        low, high = map(level, known)
        return f"{how} than every training image: {what} {level(value)}, training {low} to {high}"


def reasons_of_none(appearance: Appearance, *, whole: bool) -> Iterator[str]:
    """Sentences on an image that shows nothing, for a bundle that knows nothing of its training."""
    if 0 < 255 * appearance.contrast < LEAST_DEVIATION:
        yield f"all pixels are almost alike: deviation {level(appearance.contrast)} of 255"
    if whole and appearance.side < LEAST_SIDE:
        yield f"too small to show anything: {appearance.side} px"


def level(share: float) -> str:
    """A share of the full scale in levels of 255."""
    return f"{255 * share:.3g}"
