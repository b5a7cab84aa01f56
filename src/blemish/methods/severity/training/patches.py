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
        """Batch of patches [B, C, P, P] about [0, 1] and severities [B, 1, P / cell, P / cell]."""
        drawn = [self.draw(generator) for _ in range(self.settings.batch)]
        images, severities = zip(*drawn, strict=True)
        return {
            "images": torch.from_numpy(np.stack(images)),
            "severities": torch.from_numpy(np.stack(severities)),
        }

    def draw(self, generator: Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draw a patch [C, P, P] about [0, 1] and its severities [1, P / cell, P / cell]."""
        pixels, classes, center = self.drawn_image(generator)
        matrix = self.transform(center, (classes.shape[0], classes.shape[1]), generator)
        image = affine_patch(pixels, matrix, self.settings.patch)
        mask = affine_patch((classes > 0).astype(np.uint8) * 255, matrix, self.settings.patch) > 127
        return photometric_jitter(image, generator, self.settings), self.label(image, mask)[None]

    def drawn_image(self, generator: Generator) -> tuple[Pixels, ClassMap, Point]:
        """Next image, its class map and the patch's centre (x, y); a share of them with a pasted defect."""
        if self.settings.copy_paste > 0 and generator.random() < self.settings.copy_paste:
            pasted = self.paster.draw(generator)
            if pasted is not None:
                return pasted.pixels, pasted.classes, self.centre_about(pasted.defect, generator)
        sample, center = self.place(generator)
        return *self.read(sample), center

    def place(self, generator: Generator) -> tuple[int, Point]:
        """Sample number and centre (x, y) of the next patch."""
        if not self.marked or generator.random() < self.settings.clean_share:
            sample = int(generator.integers(len(self.sizes)))
            height, width = self.sizes[sample]
            return sample, (generator.uniform(0, width), generator.uniform(0, height))
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
