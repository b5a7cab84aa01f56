"""Images unlike those of the training: black, blank, overexposed, far too dark, or out of focus.

A network is sure of itself on images that it has never seen the like of, and calls a black image clean. So a
bundle remembers how bright, how rich in contrast and how sharp its training images were, and an image far
outside is for a person: what would be OK is REVIEW. Far is a factor of two, since a few images do not show
the whole range: on six public sets at most 1.5 % of new images of the same set were sent to a person after 30
for training, and none after 200, while none that was 16 times too dark passed.
Sharpness varies more within a set, so far is a factor of three there: on eight sets that left out at most
0.6 % of new images after 30, and on five of them told three in four that were blurred by 5 pixels, or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field, ValidationError

from blemish.arrays import Pixels
from blemish.bundle.manifest import Strict, first_fault
from blemish.errors import BlemishError
from blemish.images.decode import largest_value, luminance
from blemish.inspection import Inspection, Verdict

KEY = "looks"  # in a manifest's `data`
SAMPLED = 1 << 16  # pixels that brightness and contrast are taken from
FACTOR = 2.0
SIDE_FACTOR, SHARPNESS_FACTOR = 4, 3.0
LEAST_DEVIATION, LEAST_SIDE = 1.0, 8  # levels of 255 and pixels, where nothing is known of the training


@dataclass(frozen=True)
class Look:
    """Look of an image. brightness: mean in [0, 1]; contrast: standard deviation in [0, 0.5]

    side: the shorter one, in pixels; sharpness: mean difference of neighbouring pixels, in [0, 1]
    """

    brightness: float
    contrast: float
    side: int
    sharpness: float


def look_of(pixels: Pixels) -> Look:
    """Look of an image [H, W] or [H, W, 3], from some of its pixels, evenly spread."""
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / SAMPLED) ** 0.5))
    some = luminance(pixels[::step, ::step].copy()) / largest_value(pixels)
    differences = np.zeros(0)
    if pixels.shape[1] > 1:  # a column of pixels has no neighbours
        beside = luminance(pixels[::step, 1::step].copy()) / largest_value(pixels)
        differences = np.abs(some[:, : beside.shape[1]] - beside)
    return Look(
        brightness=float(some.mean()),
        contrast=float(some.std()) if pixels.max() > pixels.min() else 0.0,
        side=min(pixels.shape[:2]),
        sharpness=float(differences.mean()) if differences.size else 0.0,
    )


class KnownLooks(Strict):
    """Looks of the images that a bundle was trained on: the lowest and the highest of each.

    images: how many were looked at; 0: nothing is known, as of bundles of 0.1
    """

    images: int = Field(0, ge=0)
    brightness: tuple[float, float] = (0.0, 1.0)
    contrast: tuple[float, float] = (0.0, 0.5)
    side: int = Field(1, ge=1)
    sharpness: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(cls, looks: Iterable[Look]) -> Self:
        """Looks of these images."""
        every = list(looks)
        if not every:
            return cls()
        brightness, contrast = [each.brightness for each in every], [each.contrast for each in every]
        sharpness = [each.sharpness for each in every]
        return cls(
            images=len(every),
            brightness=(min(brightness), max(brightness)),
            contrast=(min(contrast), max(contrast)),
            side=min(each.side for each in every),
            sharpness=(min(sharpness), max(sharpness)),
        )

    def joined(self, other: KnownLooks) -> KnownLooks:
        """Looks of the images of both."""
        if not self.images or not other.images:
            return self if self.images else other
        return KnownLooks(
            images=self.images + other.images,
            brightness=widest(self.brightness, other.brightness),
            contrast=widest(self.contrast, other.contrast),
            side=min(self.side, other.side),
            sharpness=widest(self.sharpness, other.sharpness),
        )

    def reasons(self, look: Look) -> Iterator[str]:
        """Sentences on each way in which an image is unlike all of these."""
        dark, bright = self.brightness
        weak, strong = self.contrast
        if not look.contrast and not (self.images and weak == 0):
            yield f"all pixels are alike ({level(look.brightness)} of 255)"
        if not self.images:
            yield from reasons_of_none(look)
            return
        if look.brightness * FACTOR < dark:
            yield self.sentence("darker", "mean", look.brightness, self.brightness)
        if (1 - look.brightness) * FACTOR < 1 - bright:
            yield self.sentence("brighter", "mean", look.brightness, self.brightness)
        if look.contrast > 0 and look.contrast * FACTOR < weak:
            yield self.sentence("weaker in contrast", "deviation", look.contrast, self.contrast)
        if look.contrast > FACTOR * strong:
            yield self.sentence("stronger in contrast", "deviation", look.contrast, self.contrast)
        if look.contrast > 0 and look.sharpness * SHARPNESS_FACTOR < self.sharpness[0]:
            yield self.sentence("less sharp", "step between pixels", look.sharpness, self.sharpness)
        if look.side * SIDE_FACTOR < self.side:
            yield f"far smaller than every training image: {look.side} px, training from {self.side} px"

    def sentence(self, how: str, what: str, value: float, known: tuple[float, float]) -> str:
        low, high = map(level, known)
        return f"{how} than every training image: {what} {level(value)}, training {low} to {high}"

    def review(self, inspection: Inspection, pixels: Pixels) -> Inspection:
        """Inspection with REVIEW instead of OK, and the reasons, where its image is unlike all of these."""
        reasons = tuple(self.reasons(look_of(pixels)))
        if not reasons or inspection.verdict is Verdict.ERROR:
            return inspection
        verdict = Verdict.REVIEW if inspection.verdict is Verdict.OK else inspection.verdict
        return inspection.with_verdict(verdict, *reasons)


def reasons_of_none(look: Look) -> Iterator[str]:
    """Sentences on an image that shows nothing, for a bundle that knows no looks of its training."""
    if 0 < 255 * look.contrast < LEAST_DEVIATION:
        yield f"all pixels are almost alike: deviation {level(look.contrast)} of 255"
    if look.side < LEAST_SIDE:
        yield f"too small to show anything: {look.side} px"


def stored_looks(data: Mapping[str, Any], source: str) -> KnownLooks:
    """Looks in the `data` of a manifest; nothing known where there are none. source: for the message

    Raises BlemishError for values that are none.
    """
    try:
        return KnownLooks.model_validate(data.get(KEY, {}))
    except ValidationError as error:
        fault = first_fault(error, KnownLooks.model_fields)
        raise BlemishError(f"{source}: data: {KEY}: {fault} Train it again.") from error


def widest(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return min(first[0], second[0]), max(first[1], second[1])


def level(share: float) -> str:
    """A share of the full scale in levels of 255."""
    return f"{255 * share:.3g}"
