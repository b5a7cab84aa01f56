"""Baselines that need no training: one gray threshold for each image, chosen from its histogram.

They need to know only whether defects are darker or lighter than the surface, which pixel F1 on the
validation images decides. Letters: H, W, h histogram, T level.
Source: Otsu 1979, "A threshold selection method from gray-level histograms"; Kittler & Illingworth 1986,
"Minimum error thresholding".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.tables.results import RowJob
from benchmarks.tables.row_kind import Figures, RowKind
from benchmarks.tables.table import Table
from blemish.arrays import Pixels
from blemish.bundle.manifest import Strict
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset
from blemish.evaluation.pixel import NO_MATCHES, match_counts, pixel_counts
from blemish.evaluation.run import evaluate_samples, split_to_evaluate
from blemish.images.decode import read_image, to_bytes
from blemish.inspector.inspector import BundleInspector
from blemish.methods.common.scores import default_label
from blemish.methods.contract import ImageFindings, Networks
from blemish.regions.region import defect_of, numbered, regions_above
from blemish.training.run import with_validation

GRAYS = 256
LEVEL_VARIANCE = 1 / 12  # of values spread evenly over one level, which is what rounding leaves of them

Criterion = Callable[[NDArray[np.uint8]], int]  # [H, W] of more than one gray to T: up to it is dark


class GraySettings(Strict):
    """join_distance: pixels; clusters nearer than this are one defect, as in the method compared with"""

    join_distance: float = Field(4.0, ge=0)


class GrayKind(RowKind):
    """Base of the criteria, which are called by the kind's name in CRITERIA."""

    settings_type = GraySettings
    seeded = False

    def measure(self, table: Table, job: RowJob) -> Figures:
        settings = GraySettings.model_validate(job.row.settings)
        validation = with_validation(table.dataset, 0, table.reporter).split("val")
        inspector = gray_inspector(self.name, validation, join_distance=settings.join_distance)
        chosen = split_to_evaluate(table.dataset, "test")
        evaluator = evaluate_samples(
            inspector, chosen, table.reporter, title=f"{self.name} on the test images"
        )
        return dict(evaluator.result(method=self.name, split="test", seed=None).metrics)


class Otsu(GrayKind):
    """The threshold of the greatest variance between both sides."""

    name = "otsu"


class Kittler(GrayKind):
    """The threshold of the least error of two normal distributions."""

    name = "kittler"


@dataclass(frozen=True)
class GrayInference:
    """The numpy half of a method without networks.

    criterion: see CRITERIA; bright: defects are lighter than the surface
    """

    criterion: Criterion
    bright: bool
    join_distance: float = 4.0
    label: str = "defect"
    channels: int | None = 1
    threshold_score: float | None = None
    mm_per_px: float | None = None
    classifies: bool = False
    segments: bool = True
    pixel_threshold: float | None = None
    region_threshold: float | None = None
    score_map_max: float | None = None
    streams: None = None

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        """There is no network, so none has outputs."""
        raise KeyError(network)

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """1 where a pixel is on the defects' side of the threshold, else 0. [H, W]"""
        return gray_mask(pixels, self.criterion, bright=self.bright).astype(np.float32)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """Components of the mask as defects; the score is how well the threshold separates the two sides."""
        regions = list(regions_above(raw, 0.5, join_distance=self.join_distance))
        defects = tuple(defect_of(region, self.label, region.strongest) for region in regions)
        maps = {"defects": numbered(regions, (raw.shape[0], raw.shape[1]))} if with_maps else {}
        return ImageFindings(separability(pixels, raw > 0), defects, maps)


def gray_inspector(kind: str, validation: Dataset, *, join_distance: float) -> BundleInspector:
    """A criterion behind the one forward path, dark or bright as suits the validation images better.

    kind: of CRITERIA
    """
    masked = (
        (pixels, class_map(sample, validation.class_names, (pixels.shape[0], pixels.shape[1])) > 0)
        for sample in validation
        for pixels in [read_image(sample.image, channels=1)]
    )
    criterion = CRITERIA[kind]
    bright = brighter_is_better(masked, criterion)
    inference = GrayInference(criterion, bright, join_distance, default_label(validation.class_names))
    # It finds something in every image and cannot call one clean, so it calls none NG.
    return BundleInspector(inference, {}, review=math.inf, ng=math.inf, bundle=kind)


def brighter_is_better(images: Iterable[tuple[Pixels, NDArray[np.bool_]]], criterion: Criterion) -> bool:
    """True where the bright side gives the higher pooled pixel F1. images: pixels and truth of each."""
    dark = bright = NO_MATCHES
    for pixels, truth in images:
        bright += match_counts(pixel_counts(gray_mask(pixels, criterion, bright=True), truth))
        dark += match_counts(pixel_counts(gray_mask(pixels, criterion, bright=False), truth))
    return (bright.f1 or 0.0) > (dark.f1 or 0.0)


def gray_mask(pixels: Pixels, criterion: Criterion, *, bright: bool) -> NDArray[np.bool_]:
    """Pixels above (bright) or up to (dark) the threshold over 256 levels; none of a flat image.

    pixels: [H, W]
    """
    values = to_bytes(pixels)
    if not np.ptp(values):
        return np.zeros(values.shape, bool)
    above = values > criterion(values)
    return above if bright else ~above


def separability(pixels: Pixels, mask: NDArray[np.bool_]) -> float:
    """Otsu's η: the variance between the two sides as a share of the whole, in [0, 1]; 0 for a flat image."""
    values = to_bytes(pixels).astype(np.float64)
    share = mask.mean()
    if share in (0.0, 1.0) or not values.var():
        return 0.0
    between = share * (1 - share) * (values[mask].mean() - values[~mask].mean()) ** 2
    return float(np.clip(between / values.var(), 0.0, 1.0))


def otsu_level(values: NDArray[np.uint8]) -> int:
    """The level at which the variance between both sides is greatest."""
    level, _ = cv2.threshold(values, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return int(level)


def kittler_level(values: NDArray[np.uint8]) -> int:
    """The level at which two normal distributions, one for each side, would err least."""
    return int(np.argmin(minimum_error(np.bincount(values.ravel(), minlength=GRAYS))))


def minimum_error(histogram: NDArray[np.int_]) -> NDArray[np.float64]:
    """The criterion J(T) for T = 0 … 254, [255]; infinite where a side is empty.

    histogram: [256] counts. Deviation: variances are those of the rounded values plus that of rounding
    itself, so that a side of a single gray, as of a saturated defect, has a finite J.
    """
    grays = np.arange(GRAYS, dtype=np.float64)
    powers = np.stack([np.ones(GRAYS), grays, grays**2])
    dark: NDArray[np.float64] = np.cumsum(histogram * powers, axis=1)  # [3, 256] sums
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [part_of_criterion(sums, dark[0, -1]) for sums in (dark, dark[:, -1:] - dark)]
    criterion = 1 + parts[0] + parts[1]
    return np.where(np.isfinite(criterion), criterion, np.inf)[:-1]


def part_of_criterion(sums: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    """2 P (ln σ − ln P) of one side at each T. sums: [3, T] of 1, g and g² over its pixels"""
    count, first, second = sums
    share = count / total
    variance = np.maximum(second / count - (first / count) ** 2, 0.0) + LEVEL_VARIANCE
    return share * (np.log(variance) - 2 * np.log(share))


CRITERIA: Mapping[str, Criterion] = {"otsu": otsu_level, "kittler": kittler_level}
