"""The baseline that needs no training: a global gray threshold chosen on each image by Otsu's criterion.

Source: Otsu 1979, "A threshold selection method from gray-level histograms". Whether defects are darker or
lighter than the surface is the one thing it is told; that is chosen on validation images by pixel F1.
Letters: H, W.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset
from blemish.defect import Defect
from blemish.evaluation.pixel import NO_AGREEMENT, agreement_of, pixel_counts
from blemish.images.decode import read_image, to_bytes
from blemish.inspector.inspector import Inspector
from blemish.methods.contract import Findings, Networks, Pixels
from blemish.regions.components import split_regions
from blemish.regions.measure import bounding_box, outlines, smallest_rectangle


@dataclass(frozen=True)
class OtsuInference:
    """The numpy half of a method without networks. bright: defects are lighter than the surface."""

    bright: bool
    join_distance: float = 4.0
    label: str = "defect"
    channels: int | None = 1
    threshold_score: float | None = None
    mm_per_px: float | None = None
    names_types: bool = False
    finds_outlines: bool = True
    pixel_threshold: float | None = None
    severity_top: float | None = None

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """1 where a pixel is on the defects' side of the threshold, else 0. [H, W]"""
        return otsu_mask(pixels, bright=self.bright).astype(np.float32)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> Findings:
        """Components of the mask as defects; the score is how well the threshold separates the two sides."""
        numbers = np.zeros(raw.shape, np.int32)
        defects = []
        for mask, (left, top) in split_regions(raw > 0, join_distance=self.join_distance):
            defects.append(self.measure(mask, (left, top)))
            numbers[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = len(defects)
        return Findings(
            separability(pixels, raw > 0), tuple(defects), {"defects": numbers} if with_maps else {}
        )

    def measure(self, mask: NDArray[np.bool_], offset_xy: tuple[int, int]) -> Defect:
        contour = outlines(mask, offset_xy=offset_xy)
        return Defect(
            label=self.label,
            confidence=1.0,
            box_xyxy=bounding_box(mask, offset_xy=offset_xy),
            contour=contour,
            rectangle=smallest_rectangle(contour),
            area=float(mask.sum()),
        )


def otsu_inspector(validation: Dataset, *, join_distance: float) -> Inspector:
    """Otsu behind the one forward path, dark or bright as suits the validation images better."""
    masked = (
        (pixels, class_map(sample, validation.class_names, (pixels.shape[0], pixels.shape[1])) > 0)
        for sample in validation
        for pixels in [read_image(sample.image, channels=1)]
    )
    label = validation.class_names[0] if len(validation.class_names) == 1 else "defect"
    inference = OtsuInference(brighter_is_better(masked), join_distance, label)
    # Otsu finds something in every image and cannot call one clean, so it calls none NG.
    return Inspector(inference, {}, review=math.inf, ng=math.inf, bundle="otsu")


def brighter_is_better(images: Iterable[tuple[Pixels, NDArray[np.bool_]]]) -> bool:
    """Whether the bright side gives the higher pooled pixel F1. images: pixels and truth of each."""
    dark = bright = NO_AGREEMENT
    for pixels, truth in images:
        mask = otsu_mask(pixels, bright=True)
        bright += agreement_of(pixel_counts(mask, truth))
        dark += agreement_of(pixel_counts(~mask, truth))
    return (bright.f1 or 0.0) > (dark.f1 or 0.0)


def otsu_mask(pixels: Pixels, *, bright: bool) -> NDArray[np.bool_]:
    """Pixels above (bright) or up to (dark) Otsu's threshold over 256 levels; none of a flat image.

    pixels: [H, W]
    """
    values = to_bytes(pixels)
    _, above = cv2.threshold(values, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = np.asarray(above, dtype=bool)
    if not bright:
        mask = ~mask
    return mask & (np.ptp(values) > 0)


def separability(pixels: Pixels, mask: NDArray[np.bool_]) -> float:
    """Otsu's η: the variance between the two sides as a share of the whole, in [0, 1]; 0 for a flat image."""
    values = to_bytes(pixels).astype(np.float64)
    share = mask.mean()
    if share in (0.0, 1.0) or not values.var():
        return 0.0
    between = share * (1 - share) * (values[mask].mean() - values[~mask].mean()) ** 2
    return float(np.clip(between / values.var(), 0.0, 1.0))
