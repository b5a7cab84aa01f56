"""Training patches of stage 1: where to cut, augmentation of image and mask together, severity labels.

Source: He & Liu 2020, sections III-C-1, III-C-3 and IV-A. Letters: B batch, C channels, P side of a patch.
Every draw comes from the generator given, so that the batch of a step depends on seed and step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from blemish.arrays import Pixels, Point
from blemish.images.photometric import photometric_jitter
from blemish.methods.common.copy_paste import DefectPaster
from blemish.methods.common.patches import MarkedDefect, draw_balanced, grouped, patch_center
from blemish.methods.common.samples import ClassMap, ReadSample
from blemish.methods.common.warps import affine_patch
from blemish.methods.severity.labels import severity_labels
from blemish.methods.severity.network.context import WIDER
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.windows import intensity_of


@dataclass(frozen=True)
class PatchSource:
    """Draws training patches. sizes: (height, width) of each sample; scale: see `labels.severity_labels`."""

    settings: SeveritySettings
    read: ReadSample
    sizes: Sequence[tuple[int, int]]
    marked: Sequence[MarkedDefect]
    scale: float

    def batch(self, generator: Generator) -> dict[str, Tensor]:
        """Batch of patches, the last of them candidates among which the hard ones are to be chosen.

        "images": [B, C, P, P] about [0, 1]; "severities": [B, 1, P / cell, P / cell]; with context "wide":
        [B, C, 2P / context, 2P / context]
        """
        candidates = self.num_hard * self.settings.hard_candidates
        drawn = [self.draw(generator) for _ in range(self.settings.batch - self.num_hard)]
        drawn += [self.patch_at(*self.clean_image(generator), generator) for _ in range(candidates)]
        return {name: torch.from_numpy(np.stack([each[name] for each in drawn])) for name in drawn[0]}

    @cached_property
    def num_hard(self) -> int:
        """Hard patches of a batch."""
        return round(self.settings.batch * self.settings.clean_share * self.settings.hard_share)

    def draw(self, generator: Generator) -> dict[str, NDArray[np.float32]]:
        """Draw a patch; its arrays are those of `batch`, without B."""
        return self.patch_at(*self.drawn_image(generator), generator)

    def patch_at(
        self, pixels: Pixels, classes: ClassMap, center: Point, generator: Generator
    ) -> dict[str, NDArray[np.float32]]:
        """Patch about a place of an image, turned and lit at random."""
        settings = self.settings
        matrix = self.transform(center, (classes.shape[0], classes.shape[1]), generator)
        mask = affine_patch((classes > 0).astype(np.uint8) * 255, matrix, settings.patch) > 127
        if settings.context == 1:
            image = affine_patch(pixels, matrix, settings.patch)
            images = photometric_jitter(image, generator, settings)
            return {"images": images, "severities": self.label(image, mask)[None]}
        margin = settings.patch * (WIDER - 1) // 2
        inner = slice(margin, margin + settings.patch)
        matrix[:, 2] += margin
        around = affine_patch(pixels, matrix, WIDER * settings.patch)
        lit = photometric_jitter(around, generator, settings)
        return {
            "images": np.ascontiguousarray(lit[:, inner, inner]),
            "severities": self.label(around[inner, inner], mask)[None],
            "wide": block_means(lit, settings.context),
        }

    @cached_property
    def clean_samples(self) -> Sequence[int]:
        """Numbers of the samples that clean patches come from."""
        defective = {defect.sample for defect in self.marked}
        clean = [number for number in range(len(self.sizes)) if number not in defective]
        return clean if clean and self.settings.clean_patches == "clean_images" else range(len(self.sizes))

    def clean_image(self, generator: Generator) -> tuple[Pixels, ClassMap, Point]:
        """Image for a clean patch, its class map and the patch's centre (x, y), at a random place."""
        sample = self.clean_samples[int(generator.integers(len(self.clean_samples)))]
        height, width = self.sizes[sample]
        return *self.read(sample), (generator.uniform(0, width), generator.uniform(0, height))

    def drawn_image(self, generator: Generator) -> tuple[Pixels, ClassMap, Point]:
        """Next image, its class map and the patch's centre (x, y); a share of them with a pasted defect."""
        if self.settings.copy_paste > 0 and generator.random() < self.settings.copy_paste:
            pasted = self.paster.draw(generator)
            if pasted is not None:
                return pasted.pixels, pasted.classes, self.centre_about(pasted.defect, generator)
        settings = self.settings
        clean = settings.clean_share * settings.batch - self.num_hard
        if not self.marked or generator.random() < clean / max(1, settings.batch - self.num_hard):
            return self.clean_image(generator)
        sample, center = self.place(generator)
        return *self.read(sample), center

    def place(self, generator: Generator) -> tuple[int, Point]:
        """Sample number and centre (x, y) of a patch around a defect."""
        if self.settings.balance_classes:
            defect = draw_balanced(self.by_class, generator)
        else:
            defect = self.marked[int(generator.integers(len(self.marked)))]
        return defect.sample, self.centre_about(defect, generator)

    def centre_about(self, defect: MarkedDefect, generator: Generator) -> Point:
        """Centre (x, y) of a patch that shows the defect."""
        left, top, right, bottom = defect.box_xyxy
        if self.settings.sampling == "sliding":
            height, width = self.sizes[defect.sample]
            x = self.grid_centre(left, right, width, generator)
            return x, self.grid_centre(top, bottom, height, generator)
        # The chosen point stays inside the patch, also when it is turned by 45°.
        reach = self.settings.patch / 3
        return (
            generator.uniform(left, right) + generator.uniform(-reach, reach),
            generator.uniform(top, bottom) + generator.uniform(-reach, reach),
        )

    @cached_property
    def by_class(self) -> Sequence[Sequence[MarkedDefect]]:
        return grouped(self.marked, lambda defect: defect.label)

    @cached_property
    def paster(self) -> DefectPaster:
        settings = self.settings
        return DefectPaster(
            self.read,
            len(self.sizes),
            self.marked,
            quarters=settings.rotation_deg >= 90,
            mirrored=settings.flips,
        )

    def grid_centre(self, low: float, high: float, length: int, generator: Generator) -> float:
        """Centre, along an axis, of one of the fixed grid's patches that meet a defect from low to high."""
        patch, step = self.settings.patch, self.settings.patch_step
        starts = np.append(np.arange(0, max(length - patch, 0), step), max(length - patch, 0))
        meeting = starts[(starts < high) & (starts + patch > low)]
        return float(generator.choice(meeting)) + patch / 2

    def transform(self, center: Point, size: tuple[int, int], generator: Generator) -> NDArray[np.float64]:
        """Draw the affine matrix [2, 3] from image to patch: turn, zoom, mirror about the patch's centre."""
        settings = self.settings
        half = settings.patch / 2
        x, y = (
            round(patch_center(value, length, settings.patch))
            for value, length in zip(center, size[::-1], strict=True)
        )
        angle, zoom = 90.0 * generator.integers(4) if settings.rotation_deg >= 90 else 0.0, 1.0
        if generator.random() < settings.rotation_share:
            angle += generator.uniform(-settings.rotation_deg, settings.rotation_deg)
            zoom = generator.uniform(1 - settings.zoom, 1 + settings.zoom)
        matrix = cv2.getRotationMatrix2D((x - 0.5, y - 0.5), float(angle), float(zoom))
        matrix[:, 2] += (half - x, half - y)
        if settings.flips and generator.random() < 0.5:  # with the quarter turns, all eight symmetries
            matrix[0] *= -1
            matrix[0, 2] += settings.patch - 1
        return matrix

    def label(self, image: Pixels, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Severities of a warped patch, before photometric changes."""
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


def block_means(planes: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Planes at 1 / factor of their size, each value the mean of factor² ones. planes: [C, H, W]"""
    channels, height, width = planes.shape
    blocks = planes.reshape(channels, height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(2, 4))
