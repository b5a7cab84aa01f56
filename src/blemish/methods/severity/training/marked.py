"""Marked defects of a class map as regions, and the true label of regions that stage 1 found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.methods.common.samples import ClassMap
from blemish.regions.components import split_classes
from blemish.regions.region import Region

NO_SEVERITIES = np.zeros(1, np.float32)


def marked_regions(classes: ClassMap, join_distance: float) -> list[tuple[int, Region]]:
    """Marked defects of a class map as regions, with their class numbers."""
    return [
        (label, Region(mask, offset_xy, NO_SEVERITIES))
        for label, mask, offset_xy in split_classes(classes, join_distance=join_distance)
    ]


def true_label(region: Region, classes: ClassMap, *, background: int, min_share: float) -> int:
    """Class of most of a region's marked pixels; `background` where a smaller share than that is marked."""
    labels = inside(region, classes)[region.mask]
    marked = labels[labels > 0]
    if not marked.size or marked.size < min_share * labels.size:
        return background
    return int(np.bincount(marked).argmax()) - 1


def inside(region: Region, values: NDArray[np.generic]) -> NDArray[Any]:
    """View of the values that a region's mask lies on, [h, w]. values: of an image, [H, W]"""
    left, top = region.offset_xy
    height, width = region.mask.shape
    return values[top : top + height, left : left + width]
