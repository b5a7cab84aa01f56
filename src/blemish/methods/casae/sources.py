"""What training sees: images with their truth for the autoencoders, upright crops for the compact CNN.

Source: Tao et al. 2018, sections 4 and 5.1. A batch follows from seed, stage, step and rank alone, so that a
resumed run sees the same ones. Deviations: half of the draws show a defect where most images have none, types
are drawn equally often, and crops are altered as well. Letters: B images; C channels; s side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from math import atan2, cos, degrees, radians, sin

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from blemish.arrays import Pixels
from blemish.dataset.outlined import nothing_outlined
from blemish.defect import Rectangle
from blemish.images.relight import relit
from blemish.images.resize import resized, resized_map
from blemish.methods.casae.augment import Point, draw_warp
from blemish.methods.casae.crops import upright
from blemish.methods.casae.settings import Settings
from blemish.methods.casae.truth import kept
from blemish.regions.components import split_classes
from blemish.regions.measure import outlines, smallest_rectangle

FIRST, SECOND, TYPES, UNLABELLED = range(4)  # what is drawn for; part of the draws' seeds
Reader = Callable[[int], tuple[Pixels, NDArray[np.uint8]]]  # sample number to pixels and class map


@dataclass(frozen=True)
class Marked:
    """A defect of the training set: which sample, its class number, the smallest rectangle around it."""

    sample: int
    label: int
    rectangle: Rectangle


@dataclass(frozen=True)
class MapSource:
    """Draws images and truths: whole images, or patches of them where the settings have tiles.

    samples: how many there are to read; stage: FIRST or SECOND
    """

    settings: Settings
    read: Reader
    _: KW_ONLY
    samples: int
    marked: Sequence[Marked]
    seed: int
    stage: int = FIRST

    def draw(self, step: int, rank: int) -> dict[str, Tensor]:
        """Images [B, C, s, s] about [0, 1]; truth [B, s, s]: 1 defect, 0 none, −1 beyond the image."""
        generator = np.random.default_rng([self.seed, self.stage, step, rank])
        images, truths = zip(*(self.one(generator) for _ in range(self.settings.batch)), strict=True)
        return {"images": torch.from_numpy(np.stack(images)), "truth": torch.from_numpy(np.stack(truths))}

    def one(self, generator: Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """One altered image [C, s, s] and its truth [s, s]."""
        sample, defect = self.choose(generator)
        pixels, classes = self.read(sample)
        mask, settings = classes > 0, self.settings
        pixels, center = framed(pixels, defect, settings, generator)
        if not settings.tiled:
            mask = squeezed(mask, settings.size)
        warp = draw_warp(side_of(settings), settings, generator)
        return lit(warp.image(pixels, center), settings, generator), warp.truth(mask, center)

    def choose(self, generator: Generator) -> tuple[int, Marked | None]:
        """The next sample, and the defect to be shown; every sample with defects is as likely as another."""
        if not self.by_sample or generator.random() >= self.settings.defect_share:
            return int(generator.integers(self.samples)), None
        found = self.by_sample[int(generator.integers(len(self.by_sample)))]
        defect = found[int(generator.integers(len(found)))]
        return defect.sample, defect

    @cached_property
    def by_sample(self) -> list[list[Marked]]:
        """The defects of each sample that has any."""
        return grouped(self.marked, lambda defect: defect.sample)


@dataclass(frozen=True)
class TypeSource:
    """Draws upright crops of marked defects, every type that has any equally often."""

    settings: Settings
    read: Reader
    marked: Sequence[Marked]
    seed: int

    def draw(self, step: int, rank: int) -> dict[str, Tensor]:
        """Images [B, 1, types_size, types_size] about [0, 1], and labels [B]."""
        generator = np.random.default_rng([self.seed, TYPES, step, rank])
        drawn = [self.one(generator) for _ in range(self.settings.types_batch)]
        crops, labels = zip(*drawn, strict=True)
        return {"images": torch.from_numpy(np.stack(crops)), "labels": torch.tensor(labels)}

    def one(self, generator: Generator) -> tuple[NDArray[np.float32], int]:
        """One altered crop [1, types_size, types_size] and its label."""
        settings = self.settings
        of_type = self.by_type[int(generator.integers(len(self.by_type)))]
        defect = of_type[int(generator.integers(len(of_type)))]
        pixels, _ = self.read(defect.sample)
        rectangle = jittered(defect.rectangle, settings, generator)
        crop = upright(pixels, rectangle, margin=settings.types_margin, size=settings.types_size)
        across, down = generator.integers(2, size=2) if settings.flips else (0, 0)
        return lit(crop[:: 1 - 2 * down, :: 1 - 2 * across], settings, generator), defect.label

    @cached_property
    def by_type(self) -> list[list[Marked]]:
        """The defects of each type that has any."""
        return grouped(self.marked, lambda defect: defect.label)


def marked_defects(images: Iterable[NDArray[np.uint8]], *, join_distance: float) -> tuple[Marked, ...]:
    """`true_defects` of the training images.

    Raises BlemishError when none has a defect pixel: there would be nothing to learn.
    """
    marked = true_defects(images, join_distance=join_distance)
    if not marked:
        raise nothing_outlined()
    return marked


def true_defects(images: Iterable[NDArray[np.uint8]], *, join_distance: float) -> tuple[Marked, ...]:
    """Every defect that is marked. images: the class map of each, in the order of the samples"""
    return tuple(
        Marked(number, label, smallest_rectangle(outlines(mask, offset_xy=offset_xy)))
        for number, classes in enumerate(images)
        for label, mask, offset_xy in split_classes(classes, join_distance=join_distance)
    )


def squeezed(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """The mask at [side, side]; see `kept`."""
    return kept(resized_map(mask.astype(np.float32), (side, side)))


def side_of(settings: Settings) -> int:
    """Side of what is drawn for the autoencoders."""
    return settings.patch if settings.tiled else settings.size


def framed(
    pixels: Pixels, defect: Marked | None, settings: Settings, generator: Generator
) -> tuple[Pixels, Point]:
    """What is drawn from, and the middle of the draw in it: the image squeezed to its square, or the image
    itself about a place that shows the defect, or any.
    """
    side = side_of(settings)
    if settings.tiled:
        return pixels, patch_center(defect, pixels.shape, side, generator)
    return resized(pixels, (side, side)), (side / 2, side / 2)


def patch_center(defect: Marked | None, size: tuple[int, ...], side: int, generator: Generator) -> Point:
    """Middle of a patch with a point of the defect well inside, or anywhere; in the image where it fits."""
    height, width = size[:2]
    if defect is None:
        x, y = generator.uniform(0, width), generator.uniform(0, height)
    else:
        # No further from the middle, the point stays in the patch however that is turned.
        shift_x, shift_y = generator.uniform(-side / 4, side / 4, 2)
        point_x, point_y = point_of(defect.rectangle, generator)
        x, y = point_x + shift_x, point_y + shift_y
    return centered(x, width, side), centered(y, height, side)


def point_of(rectangle: Rectangle, generator: Generator) -> Point:
    """Any point of a rectangle."""
    along = generator.uniform(-0.5, 0.5) * rectangle.length
    across = generator.uniform(-0.5, 0.5) * rectangle.width
    return moved(rectangle, along, across)


def moved(rectangle: Rectangle, along: float, across: float) -> Point:
    """The point so many pixels along its length and its width from the middle."""
    x, y = rectangle.center_xy
    angle = radians(rectangle.angle_deg)
    return x + along * cos(angle) - across * sin(angle), y + along * sin(angle) + across * cos(angle)


def centered(value: float, length: int, side: int) -> float:
    """The middle moved so that a patch lies in the image, on whole pixels; a smaller image's own middle."""
    half = side / 2
    return round(length / 2 - half) + half if length <= side else round(np.clip(value, half, length - half))


def jittered(rectangle: Rectangle, settings: Settings, generator: Generator) -> Rectangle:
    """The rectangle as a network might have found it: moved, resized and turned a little."""
    jitter = settings.types_jitter
    along, across = generator.uniform(-jitter, jitter, 2) * (rectangle.length, rectangle.width)
    longer, wider = generator.uniform(1 - jitter, 1 + jitter, 2)
    # Half the angle of its diagonal at most, or a scratch would lie beside its own crop.
    most = min(settings.types_rotation_deg, degrees(atan2(rectangle.width, rectangle.length)) / 2)
    turn = generator.uniform(-most, most)
    return Rectangle(
        moved(rectangle, float(along), float(across)),
        rectangle.length * float(longer),
        rectangle.width * float(wider),
        rectangle.angle_deg + turn,
    )


def lit(pixels: Pixels, settings: Settings, generator: Generator) -> NDArray[np.float32]:
    """Under another light, as far as the settings allow: planes [C, s, s]."""
    return relit(
        pixels,
        generator,
        contrast=settings.contrast,
        illumination=settings.illumination,
        noise=settings.noise,
    )


def grouped(marked: Sequence[Marked], key: Callable[[Marked], int]) -> list[list[Marked]]:
    """The defects that share a key, by rising key."""
    groups: dict[int, list[Marked]] = defaultdict(list)
    for one in marked:
        groups[key(one)].append(one)
    return [groups[number] for number in sorted(groups)]
