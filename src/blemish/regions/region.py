"""Regions found in a map: their pixels, the map's values on them, and the defects that they are measured as.

Shared by all methods that outline defects, whatever their map says of a pixel. Letters: H, W.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.regions.components import components
from blemish.regions.measure import as_outlines, bounding_box, loops_of, rectangle_around
from blemish.regions.runs import RunLengthMask, as_mask, as_runs, draw, runs_above, values_on


@dataclass(frozen=True, eq=False)
class Region:
    """A connected component of a map, with the map's values on it.

    pixels: a mask [h, w], or run lengths where the box may be as large as the image
    offset_xy: where its first pixel lies in the image; values: one per entry of the map
    """

    pixels: NDArray[np.bool_] | RunLengthMask
    offset_xy: tuple[int, int]
    values: NDArray[np.float32]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Mask [h, w] of the bounding box."""
        return as_mask(self.pixels)

    @property
    def runs(self) -> RunLengthMask:
        return as_runs(self.pixels)

    def moved(self, down: int) -> Region:
        """The region moved down by so many pixels."""
        left, top = self.offset_xy
        return replace(self, offset_xy=(left, top + down))

    @cached_property
    def strongest(self) -> float:
        """Largest of the map's values on it."""
        return float(self.values.max())


def regions_above(
    values: NDArray[np.float32],
    threshold: float,
    *,
    join_distance: float,
    start_threshold: float = -math.inf,
    min_area: float = 0.0,
) -> Iterator[Region]:
    """Components of a map's pixels of at least the threshold, in reading order.

    With a start threshold above the threshold this is hysteresis: regions start at one and grow to the other.
    values: [H, W]; join_distance: see `label_regions`; start_threshold, min_area: see `region_of`
    """
    for part in components(runs_above(values, threshold), join_distance=join_distance):
        region = region_of(values, part, start_threshold=start_threshold, min_area=min_area)
        if region is not None:
            yield region


def region_of(
    values: NDArray[np.float32],
    part: RunLengthMask,
    *,
    start_threshold: float = -math.inf,
    min_area: float = 0.0,
) -> Region | None:
    """Region of a component's pixels in a map [H, W]; None where it is no region.

    start_threshold: value that at least one of its pixels has; min_area: in pixels
    """
    if part.area < min_area:
        return None
    runs, offset_xy = part.from_corner()
    region = Region(runs, offset_xy, values_on(part, values))
    return region if region.strongest >= start_threshold else None


def defect_of(region: Region, label: str, confidence: float, *, mm_per_px: float | None = None) -> Defect:
    """Region as a measured defect: box, outline, smallest rectangle and area, without severity."""
    (defect,) = defects_of([region], [(label, confidence)], mm_per_px=mm_per_px)
    return defect


def defects_of(
    regions: Sequence[Region], named: Iterable[tuple[str, float]], *, mm_per_px: float | None = None
) -> list[Defect]:
    """Regions as measured defects, faster together than each by `defect_of`.

    named: label and confidence of each
    """
    runs, offsets = [region.runs for region in regions], [region.offset_xy for region in regions]
    return [
        Defect(
            label=label,
            confidence=confidence,
            box_xyxy=bounding_box(own, offset_xy=offset_xy),
            contour=as_outlines(loops),
            rectangle=rectangle_around(loops),
            area=float(own.area),
            mm_per_px=mm_per_px,
        )
        for own, offset_xy, loops, (label, confidence) in zip(
            runs, offsets, loops_of(runs, offsets), named, strict=True
        )
    ]


def numbered(regions: Sequence[Region], size: tuple[int, int]) -> NDArray[np.int32]:
    """Map [H, W] with i + 1 on the pixels of regions[i], else 0. size: (height, width)"""
    numbers = np.zeros(size, np.int32)
    for number, region in enumerate(regions, start=1):
        draw(region.runs.moved(*region.offset_xy), numbers, number)
    return numbers
