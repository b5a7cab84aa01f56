"""Training examples of the type classifier: windows on marked defects and on false positives of stage 1.

Source: He & Liu 2020, section III-C-2. Letters: B batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from blemish.methods.common.samples import ReadSample
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.windows import SquareWindow, cut, network_input


@dataclass(frozen=True)
class WindowExample:
    """Windows on a region of a training image. sample: its number; label: N is background"""

    sample: int
    label: int
    windows: tuple[SquareWindow, ...]


@dataclass(frozen=True)
class WindowSource:
    """Draws batches of windows, every type equally often.

    examples: by label; sizes: (height, width) of each sample; background: the label N
    """

    settings: SeveritySettings
    read: ReadSample
    examples: Mapping[int, Sequence[WindowExample]]
    sizes: Sequence[tuple[int, int]]
    background: int

    def batch(self, generator: Generator) -> dict[str, Tensor]:
        """Batch of windows [B, 3, size, size] in [0, 1] and labels [B].

        With a share of background, this is at the end, as candidates among which the hard ones are chosen.
        """
        settings = self.settings
        if settings.types_background_share is None:
            drawn = [self.draw(generator) for _ in range(settings.types_batch)]
        else:
            candidates = self.num_background * settings.types_hard_candidates
            wanted = [self.draw_type(generator) for _ in range(settings.types_batch - self.num_background)]
            drawn = [self.draw_of(label, generator) for label in [*wanted, *[self.background] * candidates]]
        blocks, labels = zip(*drawn, strict=True)
        return {"images": torch.from_numpy(network_input(list(blocks))), "labels": torch.tensor(labels)}

    @property
    def num_background(self) -> int:
        """Background windows of a batch, where they have a share of their own; else 0."""
        share, batch = self.settings.types_background_share, self.settings.types_batch
        return 0 if share is None else min(batch - 1, max(1, round(share * batch)))

    @cached_property
    def types(self) -> Sequence[int]:
        """Labels of the types that there are examples of."""
        return sorted(label for label in self.examples if label != self.background)

    def draw_type(self, generator: Generator) -> int:
        """Draw the label of a type."""
        return self.types[int(generator.integers(len(self.types)))]

    def draw(self, generator: Generator) -> tuple[NDArray[np.uint8], int]:
        """Draw a window [size, size, 3] and its label, background as often as a type."""
        labels = [*self.types, self.background]
        return self.draw_of(labels[int(generator.integers(len(labels)))], generator)

    def draw_of(self, label: int, generator: Generator) -> tuple[NDArray[np.uint8], int]:
        """Draw a window [size, size, 3] of a label, and the label; of a type where no background is found."""
        found = self.examples.get(label, ())
        if label == self.background and (not found or generator.random() < self.settings.background_anywhere):
            block = self.clean_window(generator)
            if block is not None:
                return self.augmented(block, generator), label
            if not found:  # neither false positives nor clean places: learn the types alone
                label = self.types[0]
                found = self.examples[label]
        example = found[int(generator.integers(len(found)))]
        window = example.windows[int(generator.integers(len(example.windows)))]
        pixels, _ = self.read(example.sample)
        block = cut(pixels, jittered(window, self.settings, generator), self.settings.types_window)
        return self.augmented(block, generator), label

    def clean_window(self, generator: Generator) -> NDArray[np.uint8] | None:
        """Draw a window without a defect pixel; None when twenty draws find none."""
        side = self.settings.types_window
        for _ in range(20):
            sample = int(generator.integers(len(self.sizes)))
            height, width = self.sizes[sample]
            left, top = (int(generator.integers(max(1, length - side + 1))) for length in (width, height))
            pixels, classes = self.read(sample)
            if not classes[top : top + side, left : left + side].any():
                return cut(pixels, (left, top, side), side)
        return None

    def augmented(self, block: NDArray[np.uint8], generator: Generator) -> NDArray[np.uint8]:
        """Block after quarter turns, mirroring, contrast and illumination, within the ranges of stage 1."""
        settings = self.settings
        turned = np.rot90(block, int(generator.integers(4))) if settings.rotation_deg >= 90 else block
        turned = turned[:, ::-1] if settings.flips and generator.random() < 0.5 else turned
        gain = 1 + generator.uniform(-settings.contrast, settings.contrast)
        shift = 255 * generator.uniform(-settings.illumination, settings.illumination)
        mean = float(turned.mean())
        return cv2.convertScaleAbs(np.ascontiguousarray(turned), alpha=gain, beta=mean * (1 - gain) + shift)


def jittered(window: SquareWindow, settings: SeveritySettings, generator: Generator) -> SquareWindow:
    """Window moved by up to half a sliding step, so that training sees more than inference's grid."""
    left, top, side = window
    reach = settings.types_step * side // settings.types_window // 2
    return (
        left + int(generator.integers(-reach, reach + 1)),
        top + int(generator.integers(-reach, reach + 1)),
        side,
    )
