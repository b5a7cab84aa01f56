"""What every file of predictions gives, whatever its format: one inspection for each image it covers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from blemish.dataset.samples import Sample
from blemish.errors import BlemishError
from blemish.images.decode import image_size
from blemish.inspection import Inspection


class Predictions(Protocol):
    """Predictions by image, and how they are measured; see `Inference` for what both have.

    covered: ids of the samples that the file says something about
    kind: what the file is, in words
    finds_places: whether defects have places; else images alone are measured
    own_verdicts: whether the file's verdicts are kept when no threshold is asked for
    score_map_max: greatest of the pixel scores, None without maps
    """

    @property
    def path(self) -> Path: ...

    @property
    def kind(self) -> str: ...

    @property
    def covered(self) -> Collection[str]: ...

    @property
    def score_map_max(self) -> float | None: ...

    @property
    def classifies(self) -> bool: ...

    @property
    def segments(self) -> bool: ...

    @property
    def finds_places(self) -> bool: ...

    @property
    def own_verdicts(self) -> bool: ...

    def inspect(self, sample: Sample, threshold: float) -> Inspection:
        """What the file says of a sample, with maps; nothing found where it says nothing.

        threshold: score in [0, 1] from which a pixel or a box is a defect
        """


def in_unit(value: Any, place: str) -> float:
    """A score as a number in [0, 1]. Raises BlemishError; place: file and entry, for the message."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise BlemishError(f"{place}: a score must be a number in [0, 1]. Received: {value!r}. Scale it.")
    return float(value)


def checked_size(sample: Sample, size: tuple[int, int], place: str) -> None:
    """Raises BlemishError where a prediction was made on an image of another (height, width)."""
    there = image_size(sample.image)
    if size != there:
        raise BlemishError(
            f"{place} must be as large as {sample.image}. Received: {size[1]}×{size[0]} for "
            f"{there[1]}×{there[0]} (width×height). Predict on the image as it is, or scale the prediction."
        )
