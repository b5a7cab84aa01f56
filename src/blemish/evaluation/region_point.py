"""Operating point of regions: where they start, how far they grow, and how small they may be.

Chosen together on validation images by region F1: found and true defects are matched one to one at an IoU of
`MATCH_IOU`, as everywhere in a report; a region that matches none is a false one, on clean images too.
Regions start where the map reaches T_high and grow over all that is connected to it and reaches T_low
(hysteresis). Few defects tell points apart badly, so the grid is coarse, and of the points that are not worse
than the best by more than one standard error the one with the best pixel F1 is taken.
Source: Canny 1986, section V, hysteresis; Breiman et al. 1984, section 3.4.3, one-standard-error rule.
Letters: n images, L levels of T, A least areas, N true and M found defects of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.masks import Instance
from blemish.dataset.samples import Sample
from blemish.evaluation.defects import MATCH_IOU
from blemish.evaluation.matching import iou_matrix, match
from blemish.evaluation.truth import with_places
from blemish.methods.contract import RegionThresholds
from blemish.regions.measure import bounding_box
from blemish.regions.region import Region, numbered

AREAS = (0, 4, 16, 64, 256, 1024)  # in pixels, as far as a quarter of the true defects are no smaller
MIN_DEFECTS = 5  # validation defects, with fewer of which nothing is chosen by them
NO_CLEAN_IMAGES = (
    "No validation image is without a defect, so nobody knows how often good parts show a false region: "
    "the choice knows of false regions beside defects alone. Add good images to the val split."
)
INSTEAD = "one threshold by pixel-f1 stands for all."
TP, FOUND, HITS, PIXELS = range(4)  # matched regions, regions, their pixels on defects, their pixels
# Of the map's greatest possible value; close together near it, where weights on defects crowd probabilities.
SHARES = (
    0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 0.995, 0.999,
)  # fmt: skip

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class RegionChoice:
    """Operating point of regions, chosen on validation images.

    levels: [L] of T_low and T_high; areas: [A]
    f1: region F1, [L of T_low, A, L of T_high], NaN where T_high is below T_low; best_f1: its maximum
    index: of the point chosen; standard_error: of the difference between the best point and that one
    notes: sentences on what the images cannot tell
    """

    thresholds: RegionThresholds
    levels: tuple[float, ...]
    areas: tuple[float, ...]
    f1: NDArray[np.float64]
    index: tuple[int, int, int]
    best_f1: float
    standard_error: float
    images: int
    clean_images: int
    defects: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values as `bundle.curves.StoredRegionChoice` has them."""
        low, area, high = self.index
        surface = [
            [value if np.isfinite(value) else None for value in row] for row in self.f1[:, area].tolist()
        ]
        return {
            "grow": self.thresholds.grow,
            "start": self.thresholds.start,
            "min_area": self.thresholds.min_area,
            "levels": self.levels,
            "areas": self.areas,
            "f1": surface,
            "f1_of_areas": self.f1[low, :, high].tolist(),
            "best_f1": self.best_f1,
            "chosen_f1": float(self.f1[self.index]),
            "standard_error": self.standard_error,
            "images": self.images,
            "clean_images": self.clean_images,
            "defects": self.defects,
        }


@dataclass
class RegionSweep:
    """Counts of validation images at every point of the grid.

    levels: of T_low and T_high, [L] ascending; areas: [A] ascending
    """

    levels: tuple[float, ...]
    areas: tuple[float, ...] = AREAS
    counts: list[Counts] = field(default_factory=list)  # of each image, [L, A, L, 4]: T_low, area, T_high
    true_areas: list[list[int]] = field(default_factory=list)  # of each image's defects

    def add(
        self, sample: Sample, size: tuple[int, int], regions_from: Callable[[float], Sequence[Region]]
    ) -> None:
        """Count an image. size: (height, width); regions_from: its regions of any area, by T_low"""
        truth = with_places(sample, size)[1]
        marked = np.zeros(size, np.bool_)
        areas = []
        for instance in truth:
            assert instance.mask is not None, "defects without an outline are left out before"
            left, top, right, bottom = (int(edge) for edge in instance.box_xyxy)
            marked[top:bottom, left:right] |= instance.mask
            areas.append(int(np.count_nonzero(instance.mask)))
        levels = [self.of_level(regions_from(level), truth, marked) for level in self.levels]
        self.counts.append(np.stack(levels))
        self.true_areas.append(areas)

    def of_level(
        self, regions: Sequence[Region], truth: Sequence[Instance], marked: NDArray[np.bool_]
    ) -> Counts:
        """Counts [A, L, 4] of regions that have grown to a level, by least area and T_high."""
        strongest = np.array([region.strongest for region in regions], np.float32)
        found_map = numbered(regions, (marked.shape[0], marked.shape[1]))
        boxes = [bounding_box(region.runs, offset_xy=region.offset_xy) for region in regions]
        overlap = iou_matrix(truth, boxes, found_map)
        pixels = np.bincount(found_map.ravel(), minlength=len(regions) + 1)[1:]
        hits = np.bincount(found_map[marked], minlength=len(regions) + 1)[1:]
        started = strongest[:, None] >= np.array(self.levels, np.float32)  # [M, L]
        return np.stack(
            [
                np.stack(
                    [
                        (each * large) @ started
                        for each in (matched(overlap, strongest, large), 1, hits, pixels)
                    ],
                    axis=-1,
                )
                for large in (pixels >= area for area in self.areas)
            ]
        ).astype(np.int64)

    @property
    def no_choice(self) -> str:
        """Sentence on why nothing can be chosen by whole defects; empty where it can."""
        number = sum(map(len, self.true_areas))
        if number < MIN_DEFECTS:
            defects = "defect is" if number == 1 else "defects are"
            return (
                f"{number} validation {defects} too few to choose by whole defects where regions start, "
                f"which takes {MIN_DEFECTS}: {INSTEAD} Add outlined defects to the val split."
            )
        if not any(counts[..., TP].any() for counts in self.counts):
            return f"No threshold finds a validation defect at an IoU of {MATCH_IOU}: {INSTEAD}"
        return ""

    def choose(self) -> RegionChoice:
        """Choose the operating point, from at least one defect."""
        true_areas = [area for own in self.true_areas for area in own]
        max_area = max(self.areas[0], float(np.quantile(true_areas, 0.25)))
        areas = tuple(area for area in self.areas if area <= max_area)
        counts = np.stack(self.counts)[:, :, : len(areas)].astype(np.float64)
        num_true = np.array([len(own) for own in self.true_areas], np.float64)
        f1, influence = region_f1(counts, num_true)
        lower, upper = np.tril_indices(len(self.levels), -1)
        f1[lower, :, upper] = np.nan
        index, standard_error = one_standard_error(f1, influence, pixel_f1(counts, sum(true_areas)))
        low, area, high = index
        clean = int((num_true == 0).sum())
        return RegionChoice(
            RegionThresholds(self.levels[low], self.levels[high], areas[area]),
            self.levels,
            areas,
            f1,
            index,
            float(np.nanmax(f1)),
            standard_error,
            images=len(counts),
            clean_images=clean,
            defects=len(true_areas),
            notes=() if clean else (NO_CLEAN_IMAGES,),
        )


def region_f1(
    counts: NDArray[np.float64], num_true: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """F1 of regions at every point of the grid, and how much each image moves it.

    counts: [n, L, A, L, 4]; num_true: defects of each image, [n]
    returns: [L, A, L], and the linearised influence of each image, [n, L, A, L], whose sum is 0
    """
    right = 2 * counts[..., TP]
    both = counts[..., FOUND] + num_true[:, None, None, None]
    total = both.sum(axis=0)
    f1 = right.sum(axis=0) / total
    return f1, (right - f1 * both) / total


def pixel_f1(counts: NDArray[np.float64], true_pixels: int) -> NDArray[np.float64]:
    """F1 of the pixels of regions, pooled over images, at every point of the grid, [L, A, L]."""
    hits, pixels = counts[..., HITS].sum(axis=0), counts[..., PIXELS].sum(axis=0)
    found: NDArray[np.float64] = 2 * hits / (pixels + true_pixels)
    return found


def one_standard_error(
    f1: NDArray[np.float64], influence: NDArray[np.float64], preferred: NDArray[np.float64]
) -> tuple[tuple[int, int, int], float]:
    """Point with the greatest `preferred` among those that are not surely worse than the best.

    Images are what varies: each point is compared with the best one on the same images.
    f1: [L, A, L], NaN where a point is not to be taken; influence: [n, L, A, L]; preferred: [L, A, L]
    returns: index of the point, and the standard error of its difference to the best one
    """
    low, area, high = best = np.unravel_index(np.nanargmax(f1), f1.shape)
    images = len(influence)
    apart = influence - influence[:, low, area, high].reshape(-1, 1, 1, 1)
    errors = np.sqrt(np.square(apart).sum(axis=0) * images / max(1, images - 1))
    near = f1 >= f1[best] - errors  # NaN is not
    low, area, high = np.unravel_index(np.where(near, preferred, -1.0).argmax(), f1.shape)
    index = int(low), int(area), int(high)
    return index, float(errors[index])


def levels_up_to(max_threshold: float) -> tuple[float, ...]:
    """Levels of the grid for a map of values in (0, max_threshold)."""
    return tuple(max_threshold * share for share in SHARES)


def matched(
    overlap: NDArray[np.float32], strongest: NDArray[np.float32], large: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """1 for each region that matches a true defect among those that are large enough, [M].

    Stronger regions choose first, so that these are the matches for any T_high as well.
    overlap: [N, M]; strongest, large: [M]
    """
    found = np.zeros(strongest.size, np.int64)
    able = np.flatnonzero(large & (overlap.max(axis=0, initial=0.0) >= MATCH_IOU))
    pairs = match(overlap[:, able], strongest[able].tolist(), threshold=MATCH_IOU)
    found[[able[column] for _, column in pairs]] = 1
    return found
