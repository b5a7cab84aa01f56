"""Curves as a bundle's manifest stores them: lists over the same points, checked when they are read."""

from __future__ import annotations

from pydantic import model_validator

from blemish.bundle.manifest import Strict


class StoredLines(Strict):
    """Lists over the same points."""

    @model_validator(mode="after")
    def _equal_lengths(self) -> StoredLines:
        lengths = {name: len(values) for name, values in self if isinstance(values, tuple)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"lists must be of equal length. Received: {lengths}.")
        return self


class StoredSweep(StoredLines):
    """The sweep of a pixel threshold over validation images, as `evaluation.sweep.Sweep.to_json` wrote it."""

    criterion: str
    best: float
    best_value: float
    thresholds: tuple[float, ...]
    mean_iou: tuple[float, ...]
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]


class StoredRegionChoice(Strict):
    """Choice of the operating point of regions, as `evaluation.region_point` wrote it.

    grow, start, min_area: the point chosen; levels: [L] of both thresholds; areas: [A]
    f1: region F1 at the area chosen, [L of grow][L of start], None where start is below grow
    f1_of_areas: region F1 at the thresholds chosen, [A]
    standard_error: of the difference between the best point and the one chosen
    images, clean_images, defects: that it was chosen on
    """

    grow: float
    start: float
    min_area: float
    levels: tuple[float, ...]
    areas: tuple[float, ...]
    f1: tuple[tuple[float | None, ...], ...]
    f1_of_areas: tuple[float, ...]
    best_f1: float
    chosen_f1: float
    standard_error: float
    images: int
    clean_images: int
    defects: int

    @model_validator(mode="after")
    def _fits_its_grid(self) -> StoredRegionChoice:
        sides = {len(self.f1), *(len(row) for row in self.f1)}
        if sides != {len(self.levels)} or len(self.f1_of_areas) != len(self.areas):
            raise ValueError(f"f1 must have a value for each of {len(self.levels)}² points of its grid.")
        return self


class StoredLosses(StoredLines):
    """Losses of one stage of a training."""

    step: tuple[float, ...]
    loss: tuple[float, ...]
