"""What evaluation keeps of each image, and the result it adds up to: plain data that metrics and report
share.

Maps are reduced to counts and contours at once, so that evaluating ten thousand images holds none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.dataset.samples import Sample
from blemish.inspection import Inspection


@dataclass(frozen=True)
class TruthDefect:
    """One defect as annotated. contour: outer outlines in pixels, empty where only a box is known."""

    label: str
    box_xyxy: Box
    contour: tuple[tuple[tuple[float, float], ...], ...]
    area: float


@dataclass(frozen=True)
class PixelCounts:
    """Defect pixels found (tp), wrongly found (fp), missed (fn), and surface left alone (tn)."""

    tp: int
    fp: int
    fn: int
    tn: int


@dataclass(frozen=True)
class ImageRecord:
    """One image's truth beside its answer.

    inspection: without maps
    iou: [truth defects, found defects] float32 in [0, 1], on masks where both sides have one, else on boxes
    pixels: None where the dataset has no outlines
    heat: small picture of what the verdict rests on, [h, w] with 255 for all; None where there is no such map
    """

    sample: Sample
    inspection: Inspection
    truth: tuple[TruthDefect, ...]
    iou: NDArray[np.float32]
    pixels: PixelCounts | None = None
    heat: NDArray[np.uint8] | None = field(default=None, repr=False)

    def box_of(self, truth: int | None, found: int | None) -> Box | None:
        """Box of the annotated defect of that index, else of the found one, else None."""
        if truth is not None:
            return self.truth[truth].box_xyxy
        return None if found is None else self.inspection.defects[found].box_xyxy


@dataclass(frozen=True)
class Curve:
    """A named line of a report: x and y of equal length, their axis names, and a point to mark (chosen
    threshold).
    """

    title: str
    x_name: str
    y_name: str
    x: tuple[float, ...]
    lines: Mapping[str, tuple[float, ...]]
    marked_x: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """metrics: exactly what metrics.json holds; curves and records: what the report draws."""

    metrics: Mapping[str, Any]
    curves: Mapping[str, Curve]
    records: tuple[ImageRecord, ...] = field(repr=False)
