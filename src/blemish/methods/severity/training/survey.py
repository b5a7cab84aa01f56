"""Survey of the training images before training: their sizes, their defects, and the scale of severities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.dataset.outlined import nothing_outlined
from blemish.images.decode import to_bytes
from blemish.images.tiling import pad_to_multiple
from blemish.methods.common.patches import MarkedDefect, marked_defects
from blemish.methods.common.samples import ClassMap
from blemish.methods.severity.labels import defect_cells, raw_scores
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.windows import intensity_of

SCORES_PER_IMAGE = 4096  # enough for a quantile over images, and flat in memory


@dataclass(frozen=True)
class DefectSurvey:
    """Findings about the training images.

    marked: every defect; sizes: (height, width) of each image; scale: raw score that maps to severity 12
    """

    marked: tuple[MarkedDefect, ...]
    sizes: tuple[tuple[int, int], ...]
    scale: float


def survey(images: Iterable[tuple[Pixels, ClassMap]], settings: SeveritySettings) -> DefectSurvey:
    """Survey every training image, reading it once. images: pixels and class map, in order of the samples

    Raises BlemishError when no image has a defect pixel: there would be nothing to learn.
    """
    marked: list[MarkedDefect] = []
    sizes: list[tuple[int, int]] = []
    scores: list[NDArray[np.float32]] = []
    for number, (pixels, classes) in enumerate(images):
        sizes.append((pixels.shape[0], pixels.shape[1]))
        if classes.any():
            marked += marked_defects([classes], join_distance=settings.join_distance, first=number)
            scores.append(image_scores(pixels, classes > 0, settings))
    if not scores:
        raise nothing_outlined()
    scale = float(np.quantile(np.concatenate(scores), settings.scale_quantile))
    return DefectSurvey(tuple(marked), tuple(sizes), max(scale, 1.0))


def image_scores(pixels: Pixels, mask: NDArray[np.bool_], settings: SeveritySettings) -> NDArray[np.float32]:
    """Raw scores of an image's defect cells, truncated (eq. 2), thinned evenly to at most 4096."""
    intensity = to_bytes(pad_to_multiple(intensity_of(pixels, settings.intensity), settings.cell))
    padded = pad_to_multiple(mask.view(np.uint8), settings.cell).view(np.bool_)
    cells = defect_cells(
        padded, cell=settings.cell, coverage=settings.coverage, keep_small=settings.keep_small
    )
    raw = raw_scores(intensity, cells, cell=settings.cell, readings=settings.readings)
    scores = np.minimum(raw[cells], settings.truncation)
    return scores[:: max(1, -(-scores.size // SCORES_PER_IMAGE))]
