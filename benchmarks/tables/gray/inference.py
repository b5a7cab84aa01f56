"""A gray threshold chosen on each image behind the one forward path. Letters: H, W.

Whether defects are darker or lighter than the surface is the one thing it is told; that is chosen on
validation images by pixel F1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables.gray.levels import LEVELS, Level
from blemish.arrays import Pixels
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset
from blemish.evaluation.pixel import NO_MATCHES, match_counts, pixel_counts
from blemish.images.decode import read_image, to_bytes
from blemish.inspector.inspector import Inspector
from blemish.methods.common.scores import default_label
from blemish.methods.contract import ImageFindings, Networks
from blemish.regions.region import defect_of, numbered, regions_above


@dataclass(frozen=True)
class GrayInference:
    """The numpy half of a method without networks.

    level: the criterion, see `levels`; bright: defects are lighter than the surface
    """

    level: Level
    bright: bool
    join_distance: float = 4.0
    label: str = "defect"
    channels: int | None = 1
    threshold_score: float | None = None
    mm_per_px: float | None = None
    classifies: bool = False
    segments: bool = True
    pixel_threshold: float | None = None
    score_map_max: float | None = None
    streams: ClassVar[None] = None

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """1 where a pixel is on the defects' side of the threshold, else 0. [H, W]"""
        return gray_mask(pixels, self.level, bright=self.bright).astype(np.float32)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """Components of the mask as defects; the score is how well the threshold separates the two sides."""
        regions = list(regions_above(raw, 0.5, join_distance=self.join_distance))
        defects = tuple(defect_of(region, self.label, region.strongest) for region in regions)
        maps = {"defects": numbered(regions, (raw.shape[0], raw.shape[1]))} if with_maps else {}
        return ImageFindings(separability(pixels, raw > 0), defects, maps)


def gray_inspector(kind: str, validation: Dataset, *, join_distance: float) -> Inspector:
    """A criterion behind the one forward path, dark or bright as suits the validation images better.

    kind: of LEVELS
    """
    masked = (
        (pixels, class_map(sample, validation.class_names, (pixels.shape[0], pixels.shape[1])) > 0)
        for sample in validation
        for pixels in [read_image(sample.image, channels=1)]
    )
    level = LEVELS[kind]
    bright = brighter_is_better(masked, level)
    inference = GrayInference(level, bright, join_distance, default_label(validation.class_names))
    # It finds something in every image and cannot call one clean, so it calls none NG.
    return Inspector(inference, {}, review=math.inf, ng=math.inf, bundle=kind)


def brighter_is_better(images: Iterable[tuple[Pixels, NDArray[np.bool_]]], level: Level) -> bool:
    """Whether the bright side gives the higher pooled pixel F1. images: pixels and truth of each."""
    dark = bright = NO_MATCHES
    for pixels, truth in images:
        bright += match_counts(pixel_counts(gray_mask(pixels, level, bright=True), truth))
        dark += match_counts(pixel_counts(gray_mask(pixels, level, bright=False), truth))
    return (bright.f1 or 0.0) > (dark.f1 or 0.0)


def gray_mask(pixels: Pixels, level: Level, *, bright: bool) -> NDArray[np.bool_]:
    """Pixels above (bright) or up to (dark) the threshold over 256 levels; none of a flat image.

    pixels: [H, W]
    """
    values = to_bytes(pixels)
    if not np.ptp(values):
        return np.zeros(values.shape, bool)
    above = values > level(values)
    return above if bright else ~above


def separability(pixels: Pixels, mask: NDArray[np.bool_]) -> float:
    """Otsu's η: the variance between the two sides as a share of the whole, in [0, 1]; 0 for a flat image."""
    values = to_bytes(pixels).astype(np.float64)
    share = mask.mean()
    if share in (0.0, 1.0) or not values.var():
        return 0.0
    between = share * (1 - share) * (values[mask].mean() - values[~mask].mean()) ** 2
    return float(np.clip(between / values.var(), 0.0, 1.0))
