"""Batches that CASAE trains on: images with their truth for the autoencoders, upright crops for the CNN.

Source: Tao et al. 2018, sections 4 and 5.1. A batch follows from seed, stage, step and rank alone, so that a
resumed run sees the same ones. Deviations: half of the draws show a defect where most images have none, types
are drawn equally often, and crops are altered as well. Letters: B images; C channels; s side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from math import atan2, cos, degrees, radians, sin

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from blemish.arrays import Pixels, Point
from blemish.defect import Rectangle
from blemish.images.photometric import photometric_jitter
from blemish.images.resize import resized, resized_map
from blemish.methods.casae.crops import upright
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common.copy_paste import DefectPaster
from blemish.methods.common.patches import MarkedDefect, draw_balanced, grouped, patch_center
from blemish.methods.common.samples import ClassMap, ReadSample
from blemish.methods.common.warps import draw_warp, keep_small_masks

FIRST, SECOND, TYPES, UNLABELLED = range(4)  # purposes of draws; part of their seeds


@dataclass(frozen=True)
class MapSource:
    """Draws images and truths: whole images, or patches of them where the settings have tiles.

    samples: number of samples to read; stage: FIRST or SECOND
    """

    settings: CasaeSettings
    read: ReadSample
    _: KW_ONLY
    samples: int
    marked: Sequence[MarkedDefect]
    seed: int
    stage: int = FIRST

    def draw(self, step: int, rank: int) -> dict[str, Tensor]:
        """Images [B, C, s, s] about [0, 1]; truth [B, s, s]: 1 defect, 0 none, −1 beyond the image."""
        generator = np.random.default_rng([self.seed, self.stage, step, rank])
        images, truths = zip(*(self.draw_one(generator) for _ in range(self.settings.batch)), strict=True)
        return {"images": torch.from_numpy(np.stack(images)), "truth": torch.from_numpy(np.stack(truths))}

    def draw_one(self, generator: Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Altered image [C, s, s] and its truth [s, s]."""
        settings = self.settings
        pixels, classes, defect = self.drawn_image(generator)
        pixels, center = framed(pixels, defect, settings, generator)
        mask = classes > 0 if settings.tiled else squeezed(classes > 0, settings.size)
        warp = draw_warp(settings.training_side, settings, generator)
        image = photometric_jitter(warp.image(pixels, center), generator, settings)
        return image, warp.truth(mask, center)

    def drawn_image(self, generator: Generator) -> tuple[Pixels, ClassMap, MarkedDefect | None]:
        """Next image, its class map and the defect to show; a share of them with a pasted one."""
        if self.settings.copy_paste > 0 and generator.random() < self.settings.copy_paste:
            pasted = self.paster.draw(generator)
            if pasted is not None:
                return pasted.pixels, pasted.classes, pasted.defect
        sample, defect = self.choose(generator)
        return *self.read(sample), defect

    def choose(self, generator: Generator) -> tuple[int, MarkedDefect | None]:
        """Next sample and the defect to show; every sample with defects is as likely as another."""
        if not self.by_sample or generator.random() >= self.settings.defect_share:
            return int(generator.integers(self.samples)), None
        defect = draw_balanced(self.by_sample, generator)
        return defect.sample, defect

    @cached_property
    def by_sample(self) -> Sequence[Sequence[MarkedDefect]]:
        return grouped(self.marked, lambda defect: defect.sample)

    @cached_property
    def paster(self) -> DefectPaster:
        settings = self.settings
        return DefectPaster(
            self.read,
            self.samples,
            self.marked,
            quarters=settings.rotation_deg >= 90,
            mirrored=settings.flips,
        )


@dataclass(frozen=True)
class TypeSource:
    """Draws upright crops of marked defects, every type that has any equally often."""

    settings: CasaeSettings
    read: ReadSample
    marked: Sequence[MarkedDefect]
    seed: int

    def draw(self, step: int, rank: int) -> dict[str, Tensor]:
        """Images [B, 1, types_size, types_size] about [0, 1], and labels [B]."""
        generator = np.random.default_rng([self.seed, TYPES, step, rank])
        drawn = [self.draw_one(generator) for _ in range(self.settings.types_batch)]
        crops, labels = zip(*drawn, strict=True)
        return {"images": torch.from_numpy(np.stack(crops)), "labels": torch.tensor(labels)}

    def draw_one(self, generator: Generator) -> tuple[NDArray[np.float32], int]:
        """Altered crop [1, types_size, types_size] and its label."""
        settings = self.settings
        defect = draw_balanced(self.by_type, generator)
        pixels, _ = self.read(defect.sample)
        rectangle = jittered(defect.rectangle, settings, generator)
        crop = upright(pixels, rectangle, margin=settings.types_margin, size=settings.types_size)
        across, down = generator.integers(2, size=2) if settings.flips else (0, 0)
        flipped = crop[:: 1 - 2 * down, :: 1 - 2 * across]
        return photometric_jitter(flipped, generator, settings), defect.label

    @cached_property
    def by_type(self) -> Sequence[Sequence[MarkedDefect]]:
        return grouped(self.marked, lambda defect: defect.label)


def squeezed(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Mask resized to [side, side]; see `keep_small_masks`."""
    return keep_small_masks(resized_map(mask.astype(np.float32), (side, side)))


def framed(
    pixels: Pixels, defect: MarkedDefect | None, settings: CasaeSettings, generator: Generator
) -> tuple[Pixels, Point]:
    """Image to draw from and the centre of the draw in it: the image squeezed to its square, or the image
    itself about a place that shows the defect, or any.
    """
    side = settings.training_side
    if settings.tiled:
        return pixels, draw_center(defect, pixels.shape, side, generator)
    return resized(pixels, (side, side)), (side / 2, side / 2)


def draw_center(defect: MarkedDefect | None, size: tuple[int, ...], side: int, generator: Generator) -> Point:
    """Draw the centre of a patch with a point of the defect well inside, or anywhere, on whole pixels.

    size: (height, width, …) of the image, which the patch does not leave where it fits in
    """
    height, width = size[:2]
    if defect is None:
        x, y = generator.uniform(0, width), generator.uniform(0, height)
    else:
        # No further from the middle, the point stays in the patch however that is turned.
        shift_x, shift_y = generator.uniform(-side / 4, side / 4, 2)
        along = generator.uniform(-0.5, 0.5) * defect.rectangle.length
        across = generator.uniform(-0.5, 0.5) * defect.rectangle.width
        point_x, point_y = moved(defect.rectangle, along, across)
        x, y = point_x + shift_x, point_y + shift_y
    return round(patch_center(x, width, side)), round(patch_center(y, height, side))


def moved(rectangle: Rectangle, along: float, across: float) -> Point:
    """Point at so many pixels along the rectangle's length and width from its centre."""
    x, y = rectangle.center_xy
    angle = radians(rectangle.angle_deg)
    return x + along * cos(angle) - across * sin(angle), y + along * sin(angle) + across * cos(angle)


def jittered(rectangle: Rectangle, settings: CasaeSettings, generator: Generator) -> Rectangle:
    """Rectangle as a network might have found it: moved, resized and turned a little."""
    jitter = settings.types_jitter
    along, across = generator.uniform(-jitter, jitter, 2) * (rectangle.length, rectangle.width)
    longer, wider = generator.uniform(1 - jitter, 1 + jitter, 2)
    # Half the angle of its diagonal at most, or a scratch would lie beside its own crop.
    limit = min(settings.types_rotation_deg, degrees(atan2(rectangle.width, rectangle.length)) / 2)
    turn = generator.uniform(-limit, limit)
    return Rectangle(
        moved(rectangle, float(along), float(across)),
        rectangle.length * float(longer),
        rectangle.width * float(wider),
        rectangle.angle_deg + turn,
    )
