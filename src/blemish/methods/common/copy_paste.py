"""Copy-paste: marked defects of training images, moved to clean places of others.

Each class is drawn equally often. A defect keeps its pixels and marks, turned by quarters and mirrored where
that is allowed; its brightness is that of its new place, and its surroundings fade into it. Source: Ghiasi et
al. 2021; deviation: the faded edge and the brightness, as a surface shows any seam.
Letters: h, w of the part of an image that is moved; C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from blemish.arrays import Box, Pixels
from blemish.methods.common.patches import MarkedDefect, draw_balanced, grouped
from blemish.methods.common.samples import ClassMap, ReadSample
from blemish.regions.measure import bounding_box, outlines, smallest_rectangle

FEATHER = 4  # pixels beside the marks over which what is pasted fades away
TRIES = 10  # of a defect at a place
GAINS = 0.5, 2.0  # by which brightness, and with it contrast, may change


@dataclass(frozen=True)
class PastedDefect:
    """Image [H, W(, C)] and class map [H, W] of a sample with a defect that it did not have."""

    pixels: Pixels
    classes: ClassMap
    defect: MarkedDefect


@dataclass(frozen=True)
class DefectPart:
    """Part of an image about a defect. values: [h, w(, C)] in [0, 1]; classes: [h, w]"""

    values: NDArray[np.float32]
    classes: ClassMap

    @cached_property
    def opacity(self) -> NDArray[np.float32]:
        """Opacity [h, w]: 1 on marks, falling to 0 over `FEATHER` pixels beside them."""
        beside = cv2.distanceTransform((self.classes == 0).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return np.clip(1 - beside / (FEATHER + 1), 0, 1)

    def turned(self, generator: Generator, *, quarters: bool, mirrored: bool) -> DefectPart:
        """Part turned by a random quarter and mirrored at random on either axis, where that is allowed."""
        turns = int(generator.integers(4)) if quarters else 0
        across, down = generator.integers(2, size=2) if mirrored else (0, 0)
        flipped = np.s_[:: 1 - 2 * down, :: 1 - 2 * across]
        values, classes = np.rot90(self.values, turns)[flipped], np.rot90(self.classes, turns)[flipped]
        return DefectPart(np.ascontiguousarray(values), np.ascontiguousarray(classes))


@dataclass(frozen=True)
class DefectPaster:
    """Pastes marked defects onto samples without any, or where each has some, beside theirs.

    samples: number of samples to read; quarters, mirrored: whether defects are turned by quarters, mirrored
    Images with ignored regions are not among the samples, see `dataset.outlined`.
    """

    read: ReadSample
    samples: int
    marked: Sequence[MarkedDefect]
    quarters: bool
    mirrored: bool

    def draw(self, generator: Generator) -> PastedDefect | None:
        """Draw a defect, a sample and a place in it. None where ten draws give none that fits.

        A defect that touches the edge of its image is never moved, as it would show that edge, nor one amid
        others.
        """
        for _ in range(TRIES if self.marked else 0):
            defect = draw_balanced(self.by_class, generator)
            target = self.targets[int(generator.integers(len(self.targets)))]
            part = cut_out(*self.read(defect.sample), defect.box_xyxy)
            if part is None:
                continue
            part = part.turned(generator, quarters=self.quarters, mirrored=self.mirrored)
            pixels, classes = self.read(target)
            (height, width), (high, wide) = part.classes.shape, classes.shape
            if height > high or width > wide:
                continue
            left = int(generator.integers(wide - width + 1))
            top = int(generator.integers(high - height + 1))
            if not classes[top : top + height, left : left + width][part.opacity > 0].any():
                mask, offset_xy = part.classes > 0, (left, top)
                moved = MarkedDefect(
                    target,
                    defect.label,
                    bounding_box(mask, offset_xy=offset_xy),
                    smallest_rectangle(outlines(mask, offset_xy=offset_xy)),
                )
                return PastedDefect(*pasted(pixels, classes, part, offset_xy), moved)
        return None

    @cached_property
    def by_class(self) -> Sequence[Sequence[MarkedDefect]]:
        return grouped(self.marked, lambda defect: defect.label)

    @cached_property
    def targets(self) -> Sequence[int]:
        """Numbers of the samples without a defect, or of all where there is none."""
        defective = {defect.sample for defect in self.marked}
        clean = [number for number in range(self.samples) if number not in defective]
        return clean or range(self.samples)


def cut_out(pixels: Pixels, classes: ClassMap, box_xyxy: Box) -> DefectPart | None:
    """Cut out a box of an image and what fades beside it.

    None where that leaves the image, and where other defects fill all of it: no surface tells its brightness.
    """
    height, width = classes.shape
    margin = FEATHER + 1
    left, top = (int(value) - margin for value in box_xyxy[:2])
    right, bottom = (int(np.ceil(value)) + margin for value in box_xyxy[2:])
    if left < 0 or top < 0 or right > width or bottom > height:
        return None
    marks = classes[top:bottom, left:right]
    if marks.all():
        return None
    part = pixels[top:bottom, left:right].astype(np.float32)
    return DefectPart(part / np.float32(np.iinfo(pixels.dtype).max), marks)


def pasted(
    pixels: Pixels, classes: ClassMap, part: DefectPart, offset_xy: tuple[int, int]
) -> tuple[Pixels, ClassMap]:
    """Copies of an image and its class map with the part at a place, as bright as that is.

    Pixels beyond the part's opacity stay as they are; of the class map, all but its marks.
    """
    left, top = offset_xy
    height, width = part.classes.shape
    place = np.s_[top : top + height, left : left + width]
    full = np.iinfo(pixels.dtype).max
    here = pixels[place].astype(np.float32) / full
    ring = (part.opacity > 0) & (part.opacity < 1)
    level, own = here[ring].mean(axis=0), part.values[ring].mean(axis=0)
    gain = np.clip(level / np.maximum(own, 1 / 255), *GAINS)
    opacity = part.opacity if here.ndim == 2 else part.opacity[..., None]
    blended = here + opacity * ((part.values - own) * gain + level - here)
    image, marks = pixels.copy(), classes.copy()
    covered = part.opacity > 0
    image[place][covered] = np.rint(blended.clip(0, 1) * full).astype(pixels.dtype)[covered]
    marked = part.classes > 0
    marks[place][marked] = part.classes[marked]
    return image, marks
