"""A region that was found in a map: its pixels, the map's values on it, and the defect it is measured as.

What every method that outlines defects needs, whatever its map says of a pixel. Letters: H, W.
"""

from __future__ import annotations

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
    """One connected component: its pixels, from offset_xy of the image on, and its values in the map (one per
    entry of the map).

    pixels: a mask, or runs where the box may be as large as the image
    """

    pixels: NDArray[np.bool_] | RunLengthMask
    offset_xy: tuple[int, int]
    values: NDArray[np.float32]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[h, w] of the bounding box."""
        return as_mask(self.pixels)

    @property
    def runs(self) -> RunLengthMask:
        return as_runs(self.pixels)

    def moved(self, down: int) -> Region:
        """The same so many pixels further down."""
        left, top = self.offset_xy
        return replace(self, offset_xy=(left, top + down))

    @cached_property
    def strongest(self) -> float:
        return float(self.values.max())


def regions_above(
    values: NDArray[np.float32], threshold: float, *, join_distance: float, minimum_area: float = 0.0
) -> Iterator[Region]:
    """The components of a map's pixels of at least the threshold, in reading order.

    values: [H, W]; join_distance: see `label_regions`; minimum_area: pixels, of smaller ones none is given
    """
    for part in components(runs_above(values, threshold), join_distance=join_distance):
        if (region := region_of(values, part, minimum_area=minimum_area)) is not None:
            yield region


def region_of(
    values: NDArray[np.float32], part: RunLengthMask, *, minimum_area: float = 0.0
) -> Region | None:
    """One component of a map with an entry a pixel; None for a smaller one. part: its pixels"""
    if part.area < minimum_area:
        return None
    runs, offset_xy = part.from_corner()
    return Region(runs, offset_xy, values_on(part, values))


def defect_of(region: Region, label: str, confidence: float, *, mm_per_px: float | None = None) -> Defect:
    """The region measured: box, outline, smallest rectangle and area; it has no severity."""
    (defect,) = defects_of([region], [(label, confidence)], mm_per_px=mm_per_px)
    return defect


def defects_of(
    regions: Sequence[Region], named: Iterable[tuple[str, float]], *, mm_per_px: float | None = None
) -> list[Defect]:
    """Each region as `defect_of` measures it, faster than one by one. named: label and confidence of each"""
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
    """[H, W]: i + 1 on the pixels of regions[i], 0 elsewhere. size: (height, width)"""
    numbers = np.zeros(size, np.int32)
    for number, region in enumerate(regions, start=1):
        draw(region.runs.moved(*region.offset_xy), numbers, number)
    return numbers
