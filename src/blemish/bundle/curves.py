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


class StoredLosses(StoredLines):
    """Losses of one stage of a training."""

    step: tuple[float, ...]
    loss: tuple[float, ...]
