"""Training patches of stage 1: where to cut, augmentation of image and mask together, severity labels.

Source: He & Liu 2020, sections III-C-1, III-C-3 and IV-A. Letters: H, W of an image; P side of a patch.
Every draw comes from the generator given, so that the batch of a step depends on seed and step alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from blemish.defect import Box
from blemish.images.relight import relit
from blemish.methods.severity.labels import severity_labels
from blemish.methods.severity.settings import Settings
from blemish.methods.severity.windows import intensity_of

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Reader = Callable[[int], tuple[Pixels, NDArray[np.uint8]]]  # sample number to pixels and class map


@dataclass(frozen=True)
class Marked:
    """A defect of the training set: which sample, its class number, its box in pixels."""

    sample: int
    label: int
    box_xyxy: Box


@dataclass(frozen=True)
class PatchSource:
    """Draws training patches. sizes: (height, width) of each sample; scale: see `labels.severity_labels`."""

    settings: Settings
    read: Reader
    sizes: Sequence[tuple[int, int]]
    marked: Sequence[Marked]
    scale: float

    def draw(self, generator: Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One patch: input [C, P, P] about [0, 1], and severities [1, P / cell, P / cell]."""
        sample, center = self.place(generator)
        pixels, classes = self.read(sample)
        matrix = self.transform(center, self.sizes[sample], generator)
        image = warp(pixels, matrix, self.settings.patch)
        mask = warp((classes > 0).astype(np.uint8) * 255, matrix, self.settings.patch) > 127
        return self.relit(image, generator), self.label(image, mask)[None]

    def place(self, generator: Generator) -> tuple[int, tuple[float, float]]:
        """Sample number and centre (x, y) of the next patch."""
        if not self.marked or generator.random() < self.settings.clean_share:
            sample = int(generator.integers(len(self.sizes)))
            height, width = self.sizes[sample]
            return sample, (generator.uniform(0, width), generator.uniform(0, height))
        defect = self.choose_defect(generator)
        if self.settings.sampling == "sliding":
            return defect.sample, self.grid_place(defect, generator)
        left, top, right, bottom = defect.box_xyxy
        reach = (
            self.settings.patch / 3
        )  # the chosen point stays inside the patch, also when it is turned by 45°
        return defect.sample, (
            generator.uniform(left, right) + generator.uniform(-reach, reach),
            generator.uniform(top, bottom) + generator.uniform(-reach, reach),
        )

    def choose_defect(self, generator: Generator) -> Marked:
        if not self.settings.balance_classes:
            return self.marked[int(generator.integers(len(self.marked)))]
        labels = sorted({defect.label for defect in self.marked})
        label = labels[int(generator.integers(len(labels)))]
        candidates = [defect for defect in self.marked if defect.label == label]
        return candidates[int(generator.integers(len(candidates)))]

    def grid_place(self, defect: Marked, generator: Generator) -> tuple[float, float]:
        """Centre of one of the fixed grid's patches that meet the defect's box."""
        height, width = self.sizes[defect.sample]
        left, top, right, bottom = defect.box_xyxy
        return (
            self.grid_centre(left, right, width, generator),
            self.grid_centre(top, bottom, height, generator),
        )

    def grid_centre(self, low: float, high: float, length: int, generator: Generator) -> float:
        patch, step = self.settings.patch, self.settings.patch_step
        starts = np.append(np.arange(0, max(length - patch, 0), step), max(length - patch, 0))
        meeting = starts[(starts < high) & (starts + patch > low)]
        return float(generator.choice(meeting)) + patch / 2

    def transform(
        self, center: tuple[float, float], size: tuple[int, int], generator: Generator
    ) -> NDArray[np.float64]:
        """Affine matrix [2, 3] from image to patch: turn, zoom, mirror about the patch's centre."""
        settings = self.settings
        half = settings.patch / 2
        x, y = (inside(value, half, length) for value, length in zip(center, size[::-1], strict=True))
        angle, zoom = 90.0 * generator.integers(4) if settings.rotation_deg >= 90 else 0.0, 1.0
        if generator.random() < settings.rotation_share:
            angle += generator.uniform(-settings.rotation_deg, settings.rotation_deg)
            zoom = generator.uniform(1 - settings.zoom, 1 + settings.zoom)
        matrix = cv2.getRotationMatrix2D((round(x) - 0.5, round(y) - 0.5), float(angle), float(zoom))
        matrix[:, 2] += (half - round(x), half - round(y))
        if settings.flips and generator.random() < 0.5:  # with the quarter turns, all eight symmetries
            matrix[0] *= -1
            matrix[0, 2] += settings.patch - 1
        return matrix

    def relit(self, image: Pixels, generator: Generator) -> NDArray[np.float32]:
        """Contrast, illumination and noise, in units of full scale. [C, P, P]"""
        settings = self.settings
        return relit(
            image,
            generator,
            contrast=settings.contrast,
            illumination=settings.illumination,
            noise=settings.noise,
        )

    def label(self, image: Pixels, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Severities of the patch as it lies now, before it is relit."""
        settings = self.settings
        return severity_labels(
            intensity_of(image, settings.intensity),
            mask,
            cell=settings.cell,
            scale=self.scale if settings.scale_over == "dataset" else None,
            floor=settings.floor,
            coverage=settings.coverage,
            truncation=settings.truncation,
            readings=settings.readings,
        )


def inside(value: float, half: float, length: int) -> float:
    """The centre moved so that the patch lies in the image, or the image's centre where it is smaller."""
    return length / 2 if length <= 2 * half else float(np.clip(value, half, length - half))


def warp(image: Pixels, matrix: NDArray[np.float64], side: int) -> Pixels:
    """The affine patch [side, side(, C)]; beyond the image its mirror image continues it."""
    return cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
