"""Defect-centred sampling of training patches: the marked defects, which is drawn next, and where to cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from blemish.arrays import Box
from blemish.defect import Rectangle
from blemish.methods.common.samples import ClassMap
from blemish.regions.components import split_classes
from blemish.regions.measure import bounding_box, outlines, smallest_rectangle


@dataclass(frozen=True)
class MarkedDefect:
    """A defect marked in a training image.

    sample: number of the image; label: number of the class; box_xyxy, rectangle: around it, in pixels
    """

    sample: int
    label: int
    box_xyxy: Box
    rectangle: Rectangle


def marked_defects(
    class_maps: Iterable[ClassMap], *, join_distance: float, first: int = 0
) -> tuple[MarkedDefect, ...]:
    """Find every marked defect; parts nearer than `join_distance` pixels count as one.

    class_maps: of each sample, in the order of their numbers; first: number of the first sample
    """
    return tuple(
        MarkedDefect(
            number,
            label,
            bounding_box(mask, offset_xy=offset_xy),
            smallest_rectangle(outlines(mask, offset_xy=offset_xy)),
        )
        for number, classes in enumerate(class_maps, first)
        for label, mask, offset_xy in split_classes(classes, join_distance=join_distance)
    )


def grouped(
    defects: Iterable[MarkedDefect], key: Callable[[MarkedDefect], int]
) -> tuple[tuple[MarkedDefect, ...], ...]:
    """Groups of defects that share a key, by rising key."""
    groups: dict[int, list[MarkedDefect]] = defaultdict(list)
    for defect in defects:
        groups[key(defect)].append(defect)
    return tuple(tuple(groups[number]) for number in sorted(groups))


def draw_balanced(groups: Sequence[Sequence[MarkedDefect]], generator: Generator) -> MarkedDefect:
    """Draw a defect, every group being as likely as another. groups: none of them empty"""
    group = groups[int(generator.integers(len(groups)))]
    return group[int(generator.integers(len(group)))]


def patch_center(value: float, length: int, side: int) -> float:
    """Centre of a patch along an axis, moved so that the patch lies in the image.

    Where the image is no longer than the patch, the image's own centre.
    """
    return length / 2 if length <= side else float(np.clip(value, side / 2, length - side / 2))
