"""Images unlike those of the training: another exposure, blur, size, type, or another product.

A network is sure of itself on images that it has never seen the like of, and calls a black image clean. So a
bundle knows statistics of its training images, and limits on them that were learned from these images (see
`training.input_statistics`); what would be OK beyond a limit is REVIEW, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from blemish.arrays import Pixels
from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Strict
from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict
from blemish.inspector.appearance import KEY as LOOKS
from blemish.inspector.appearance import KnownAppearance
from blemish.inspector.image_statistics import DIMENSIONS, ImageStatistics, statistics_of

KEY = "input_statistics"  # in a manifest's `data`


class InputCheck(Protocol):
    """Statistics of a bundle's training images, by which images unlike them are told."""

    def reasons(self, pixels: Pixels, *, whole: bool = True) -> tuple[str, ...]:
        """Sentences on each way in which an image is unlike those of the training; none for one like them.

        pixels: as stored, [H, W] or [H, W, 3]; whole: False for a part, whose size says nothing
        """


class Limits(Strict):
    """A statistic of the training images, and what is accepted; None: everything on that side."""

    low: float
    high: float
    accepted_from: float | None
    accepted_to: float | None

    def side(self, value: float) -> int:
        """−1 below what is accepted, 1 above, 0 within."""
        if self.accepted_from is not None and value < self.accepted_from:
            return -1
        return int(self.accepted_to is not None and value > self.accepted_to)

    def __str__(self) -> str:
        low, high = number(self.low), number(self.high)
        return low if low == high else f"{low} to {high}"


class Spread(Strict):
    """Distribution of the descriptors of the training images.

    mean: [D]; whitening: rows of a lower triangle, by which deviations become uncorrelated, of variance 1
    exposure_weights: [D], of a deviation, which give the change of exposure that explains it best
    exposure: limits on that, as a factor; distance: on the length of the whitened deviation, per √D
    """

    mean: tuple[float, ...]
    whitening: tuple[tuple[float, ...], ...]
    exposure_weights: tuple[float, ...]
    exposure: Limits
    distance: Limits

    @model_validator(mode="after")
    def _fits_the_descriptor(self) -> Self:
        rows = [len(row) for row in self.whitening]
        if not len(self.mean) == len(self.exposure_weights) == DIMENSIONS or rows != [
            *range(1, DIMENSIONS + 1)
        ]:
            raise ValueError(f"'spread' must be of {DIMENSIONS} dimensions. Train the bundle again.")
        return self

    def exposure_of(self, descriptor: NDArray[np.float64]) -> float:
        """Exposure of an image as a factor of that of the training images."""
        return float(np.exp(np.dot(self.exposure_weights, descriptor - np.array(self.mean))))

    def distance_of(self, descriptor: NDArray[np.float64]) -> float:
        """Distance of an image from the mean of the training images, 1 for a typical one of them."""
        deviation = descriptor - np.array(self.mean)
        rows = [float(np.dot(row, deviation[: len(row)])) for row in self.whitening]
        return float(np.linalg.norm(rows) / DIMENSIONS**0.5)


class KnownInputs(Strict):
    """Statistics of the images that a bundle was trained on, and the limits on new ones.

    images: how many; sizes, bits, colour: their kinds; width_by_height: of each image
    spread: None for too few images to tell
    """

    images: int = Field(ge=1)
    bits: tuple[int, ...]
    colour: tuple[bool, ...]
    height: Limits
    width: Limits
    width_by_height: Limits
    brightness: Limits
    contrast: Limits
    sharpness_rows: Limits
    sharpness_columns: Limits
    uniform: bool
    spread: Spread | None

    def reasons(self, pixels: Pixels, *, whole: bool = True) -> tuple[str, ...]:
        """Sentences on each way in which an image is unlike those of the training, see `InputCheck`."""
        found = statistics_of(pixels)
        if found.uniform is not None and not self.uniform:
            return (f"all pixels are alike ({number(found.uniform)} of full scale)",)
        first = (*self.on_kind(found), *(self.on_size(found.size) if whole else ()), *self.on_values(found))
        return first or tuple(self.on_spread(found))

    def on_kind(self, found: ImageStatistics) -> Iterator[str]:
        if found.bits not in self.bits:
            known = " or ".join(map(str, self.bits))
            yield f"stored in {found.bits} bits, training images in {known}"
        if found.colour not in self.colour:
            yield "in colour, training images gray" if found.colour else "gray, training images in colour"

    def on_size(self, size: tuple[int, int]) -> Iterator[str]:
        height, width = size
        if self.height.side(height) or self.width.side(width):
            by = "×" if self.width.low == self.width.high and self.height.low == self.height.high else " × "
            known = f"{self.width}{by}{self.height}"
            yield f"of another size than any training image ({width}×{height} px; training {known})"
        elif self.width_by_height.side(width / height):
            shape = f"width by height {number(width / height)}; training {self.width_by_height}"
            yield f"of another shape than any training image ({shape})"

    def on_values(self, found: ImageStatistics) -> Iterator[str]:
        for limits, value, words, what in (
            (self.brightness, found.brightness, ("darker", "brighter"), "mean"),
            (self.contrast, found.contrast, ("weaker in contrast", "stronger in contrast"), "deviation"),
        ):
            if side := limits.side(value):
                yield beyond(words[side > 0], what, value, limits)
        blurred = [
            (place, limits, value)
            for place, limits, value in (
                ("rows", self.sharpness_rows, found.sharpness_rows),
                ("columns", self.sharpness_columns, found.sharpness_columns),
            )
            if limits.side(value) < 0
        ]
        if blurred:
            place = "" if len(blurred) == 2 else f" along the {blurred[0][0]}"
            yield beyond(f"less sharp{place}", "sharpness", blurred[0][2], blurred[0][1])

    def on_spread(self, found: ImageStatistics) -> Iterator[str]:
        if self.spread is None:
            return
        exposure = self.spread.exposure_of(found.descriptor)
        distance = self.spread.distance_of(found.descriptor)
        # A bright image may seem to be exposed less, where its brightest parts are white already.
        if self.spread.exposure.side(exposure):
            yield beyond("lit or exposed otherwise", "exposure", exposure, self.spread.exposure)
        elif self.spread.distance.side(distance):
            accepted = number(self.spread.distance.accepted_to or 0)
            yield (
                "unlike the training images as a whole, as of another product, light or camera (distance "
                f"{number(distance)}; accepted up to {accepted})"
            )


def beyond(how: str, what: str, value: float, limits: Limits) -> str:
    return f"{how} than any training image ({what} {number(value)}; training {limits})"


def number(value: float) -> str:
    """A statistic with three digits; whole numbers as they are."""
    return f"{value:.0f}" if value == round(value) else f"{value:.3g}"


def stored_input_check(data: Mapping[str, Any], source: str) -> InputCheck:
    """Input check in the `data` of a manifest, of older bundles a coarser one. source: for the message

    Raises BlemishError for values that are none.
    """
    kind: type[KnownInputs] | type[KnownAppearance] = KnownInputs if KEY in data else KnownAppearance
    key = KEY if KEY in data else LOOKS
    try:
        return kind.model_validate(data.get(key, {}))
    except ValidationError as error:
        fault = first_fault(error, kind.model_fields)
        raise BlemishError(f"{source}: data: {key}: {fault} Train it again.") from error


def reviewed(inspection: Inspection, unlike: Sequence[str]) -> Inspection:
    """Inspection with REVIEW in place of OK where its image is unlike those of the training.

    unlike: the reasons, which are added to any other verdict but ERROR as well
    """
    if not unlike or inspection.verdict is Verdict.ERROR:
        return inspection
    verdict = Verdict.REVIEW if inspection.verdict is Verdict.OK else inspection.verdict
    return inspection.with_verdict(verdict, *unlike)
