"""The type classifier of stage 4 and its training examples.

Source: He & Liu 2020, sections III-B-2 and III-C-2: ResNet on 64×64 windows, N types and one background
class, trained after stage 1 on the marked defects and on what stage 1 falsely reports. Letters: B batch, N
types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import ResNet

from blemish.methods.severity.patches import Reader
from blemish.methods.severity.settings import Settings
from blemish.methods.severity.windows import Window, cut, network_input
from blemish.nn.weights import resnet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class TypeNetwork(nn.Module):
    """A ResNet from windows in [0, 1] to N + 1 logits, the last of them background."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: ResNet, types: int) -> None:
        super().__init__()
        backbone.fc = nn.Linear(backbone.fc.in_features, types + 1)
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, windows: Tensor) -> Tensor:
        """windows: [B, 3, size, size] in [0, 1]; returns: [B, N + 1] in fp32."""
        logits: Tensor = self.backbone((windows - self.mean) / self.std)
        return logits.float()


def new_type_network(settings: Settings, types: int) -> tuple[TypeNetwork, str]:
    """The network with the weights that the settings name, and a line on where they are from."""
    backbone, origin = resnet(
        settings.types_backbone,
        settings.types_weights,
        setting="types_weights",
        original_strides=settings.types_strides == "original",
    )
    return TypeNetwork(backbone, types), origin


def empty_type_network(settings: Settings, types: int) -> TypeNetwork:
    """The same layers with initial weights, for a bundle's tensors."""
    without_weights = settings.model_copy(update={"types_weights": "none"})
    return new_type_network(without_weights, types)[0]


@dataclass(frozen=True)
class Example:
    """Windows on one region of a training image; label N is background."""

    sample: int
    label: int
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class ExampleSource:
    """Draws batches of windows, every label equally often."""

    settings: Settings
    read: Reader
    examples: Mapping[int, Sequence[Example]]  # by label
    sizes: Sequence[tuple[int, int]]
    background: int

    def draw(self, generator: Generator) -> tuple[NDArray[np.uint8], int]:
        """One window [size, size, 3] and its label."""
        labels = [*sorted(label for label in self.examples if label != self.background), self.background]
        label = labels[int(generator.integers(len(labels)))]
        found = self.examples.get(label, ())
        if label == self.background and (not found or generator.random() < self.settings.background_anywhere):
            block = self.clean_window(generator)
            if block is not None:
                return self.augmented(block, generator), label
            if not found:  # neither false positives nor clean places: learn the types alone
                label, found = labels[0], self.examples[labels[0]]
        example = found[int(generator.integers(len(found)))]
        window = shaken(
            example.windows[int(generator.integers(len(example.windows)))], self.settings, generator
        )
        pixels, _ = self.read(example.sample)
        return self.augmented(cut(pixels, window, self.settings.types_window), generator), label

    def clean_window(self, generator: Generator) -> NDArray[np.uint8] | None:
        """A window without a defect pixel; None when twenty draws find none."""
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
        """Quarter turns, mirroring, contrast and illumination, as far as stage 1 is allowed them."""
        settings = self.settings
        turned = np.rot90(block, int(generator.integers(4))) if settings.rotation_deg >= 90 else block
        turned = turned[:, ::-1] if settings.flips and generator.random() < 0.5 else turned
        gain = 1 + generator.uniform(-self.settings.contrast, self.settings.contrast)
        shift = 255 * generator.uniform(-self.settings.illumination, self.settings.illumination)
        mean = float(turned.mean())
        return cv2.convertScaleAbs(np.ascontiguousarray(turned), alpha=gain, beta=mean * (1 - gain) + shift)


def shaken(window: Window, settings: Settings, generator: Generator) -> Window:
    """The window moved by up to half a sliding step, so that training sees more than inference's grid."""
    left, top, side = window
    reach = settings.types_step * side // settings.types_window // 2
    return (
        left + int(generator.integers(-reach, reach + 1)),
        top + int(generator.integers(-reach, reach + 1)),
        side,
    )


def window_batch(source: ExampleSource, generator: Generator) -> dict[str, Tensor]:
    """A batch of windows [B, 3, size, size] in [0, 1] and labels [B]."""
    drawn = [source.draw(generator) for _ in range(source.settings.types_batch)]
    blocks, labels = zip(*drawn, strict=True)
    return {"images": torch.from_numpy(network_input(list(blocks))), "labels": torch.tensor(labels)}


def type_loss(network: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy over N types and background (section III-A-4)."""
    return nn.functional.cross_entropy(network(batch["images"]), batch["labels"])
