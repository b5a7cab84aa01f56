"""Contract of prediction files of any format: an inspection for each image that they cover."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from blemish.dataset.samples import Sample
from blemish.errors import BlemishError
from blemish.images.decode import image_size
from blemish.inspection import Inspection

MAX_NUMBER = 1e9  # pixels; an image has no such side


class Predictions(Protocol):
    """Predictions by image, and how they are measured; `classifies` and `segments` as of `Inference`.

    covered: ids of the samples that the file has predictions for
    numbers: of predictions, by sample id
    remarks: sentences on how the file was read, and on what of it is not used
    kind: of file, in words
    finds_places: True where defects have places; else only images are measured
    own_verdicts: True where the file's verdicts are used unless a threshold is given
    score_map_max: top of the pixel scores, None without maps
    """

    @property
    def path(self) -> Path: ...

    @property
    def kind(self) -> str: ...

    @property
    def covered(self) -> Collection[str]: ...

    @property
    def numbers(self) -> Mapping[str, int]: ...

    @property
    def remarks(self) -> tuple[str, ...]: ...

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
        """Inspection of a sample, with maps; without findings where the file does not cover it.

        threshold: score in [0, 1] from which a pixel or a box is a defect
        """


def in_unit(value: Any, place: str) -> float:
    """A score as a number in [0, 1].

    Raises BlemishError for any other; place: file and entry, for the message
    """
    if not is_number(value) or not 0 <= value <= 1:
        raise BlemishError(
            f"{place}: a score must be a number in [0, 1]. Received: {value!r}. Scale the scores."
        )
    return float(value)


def is_number(value: Any) -> bool:
    """True for a finite number of a size that a place in an image may have; not for text or truth values."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_NUMBER


def is_number_list(values: Any, length: int) -> bool:
    """True for a list of so many numbers."""
    return isinstance(values, list | tuple) and len(values) == length and all(map(is_number, values))


def checked_size(sample: Sample, size: tuple[int, int], place: str) -> None:
    """Raises BlemishError where a prediction was made on an image of another (height, width)."""
    expected = image_size(sample.image)
    if size != expected:
        raise BlemishError(
            f"{place} must have the size of {sample.image}. Received: {size[1]}×{size[0]} for "
            f"{expected[1]}×{expected[0]} (width×height). Predict on the image itself, or resize the map."
        )
