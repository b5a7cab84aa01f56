"""Records of an evaluation: per image its truth and its answer, and the result that metrics and report share.

Maps are reduced to counts and contours at once, so that an evaluation of ten thousand images holds none of
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.dataset.samples import Sample
from blemish.inspection import Inspection

if TYPE_CHECKING:
    from blemish.evaluation.pixel import MatchCounts


@dataclass(frozen=True)
class TruthDefect:
    """An annotated defect.

    box_xyxy: pixels; contour: outer outlines in pixels, empty where only a box is known; area: square pixels
    """

    label: str
    box_xyxy: Box
    contour: tuple[tuple[tuple[float, float], ...], ...]
    area: float


@dataclass(frozen=True)
class IgnoredRegion:
    """A region in which findings are neither right nor wrong. crowd: of many defects, so of many findings"""

    label: str
    box_xyxy: Box
    crowd: bool


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of an image: defect found (tp) or missed (fn), surface marked as a defect (fp) or not (tn)."""

    tp: int
    fp: int
    fn: int
    tn: int


@dataclass(frozen=True)
class ImageRecord:
    """Truth and answer of an image.

    sample: with its annotations as they are; an outline without a pixel is a label without a place
    inspection: without maps; truth: the defects that count
    iou: [true defects, found defects] float32 in [0, 1], on masks where both have one, else on boxes
    pixels: None where the dataset has no outlines, and so is `near`, with the tolerance of the evaluation
    heat: small map of the evidence for the verdict, [h, w] in 0…255; None where there is no such map
    ignored: crowd and difficult regions
    ignored_overlap: [ignored, found defects], the share of the finding that lies in a crowd region, and the
        IoU with a difficult one
    lost_places: number of annotations whose mask or outline has no pixel
    """

    sample: Sample
    inspection: Inspection
    truth: tuple[TruthDefect, ...]
    iou: NDArray[np.float32]
    pixels: PixelCounts | None = None
    near: MatchCounts | None = None
    heat: NDArray[np.uint8] | None = field(default=None, repr=False)
    ignored: tuple[IgnoredRegion, ...] = ()
    ignored_overlap: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    lost_places: int = 0

    def box_of(self, truth: int | None, found: int | None) -> Box | None:
        """Box of the annotated defect of index `truth`, else of the found one of index `found`, else None."""
        if truth is not None:
            return self.truth[truth].box_xyxy
        return None if found is None else self.inspection.defects[found].box_xyxy


@dataclass(frozen=True)
class Curve:
    """Lines of a chart by name over common values of x. marked_x: to point out, such as the threshold"""

    title: str
    x_name: str
    y_name: str
    x: tuple[float, ...]
    lines: Mapping[str, tuple[float, ...]]
    marked_x: float | None = None


@dataclass(frozen=True)
class Surface:
    """Values of a measure over a grid of two settings. values: [len(y)][len(x)], None where there is none

    marked: row and column to point out
    """

    title: str
    x_name: str
    y_name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    values: tuple[tuple[float | None, ...], ...]
    marked: tuple[int, int] | None = None


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation. metrics: content of metrics.json; curves, records: data of the report"""

    metrics: Mapping[str, Any]
    curves: Mapping[str, Curve]
    records: tuple[ImageRecord, ...] = field(repr=False)
