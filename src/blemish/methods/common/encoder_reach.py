"""Reach of a ResNet with its pyramid decoder, computed from their layers, so that tiles need no torch.

Source: the layers of `nn.encoder` on torchvision's ResNets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Backbone = Literal["resnet18", "resnet34", "resnet50"]
Level = Literal["layer1", "layer2", "layer3", "layer4"]
Strides = Literal["torchvision", "original"]

LEVELS: tuple[Level, ...] = ("layer1", "layer2", "layer3", "layer4")
BLOCKS: Mapping[Backbone, tuple[int, int, int, int]] = {  # of the four layers
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
}
CONVOLUTIONS: Mapping[Backbone, int] = {"resnet18": 2, "resnet34": 2, "resnet50": 1}  # 3×3, of a block


def deepest_stride(level: Level) -> int:
    """Pixels between places of that layer's map; sides of images are to be multiples of it."""
    return 4 << LEVELS.index(level)


def encoder_reach(backbone: Backbone, level: Level, *, strides: Strides, finest: int) -> int:
    """Pixels to each side within which everything lies that can change a value of the decoder.

    level: deepest layer; strides: place of the strides in a bottleneck
    finest: stride of the decoder's values
    """
    reach, stride = 7 // 2 + 2, 4  # the stem's convolution, and its pooling at stride 2
    for number, blocks in enumerate(BLOCKS[backbone][: LEVELS.index(level) + 1]):
        if number:
            # The first 3×3 convolution halves the map, unless a 1×1 before it does.
            reach -= stride if strides == "torchvision" else 0
            stride *= 2
        reach += blocks * CONVOLUTIONS[backbone] * stride
    while stride > max(2, finest):  # a 3×3 convolution at each stride; doubling moves a value by one place
        reach, stride = reach + stride + stride // 2, stride // 2
    reach += stride
    return reach + 2 if finest == 1 else reach
