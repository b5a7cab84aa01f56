"""Reach of a pretrained encoder with its decoder, computed from their layers, so that tiles need no torch.

Source: the layers of `nn.encoder`, of torchvision's ResNets, and of `nn.efficientnet_lite`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

Backbone = Literal["efficientnet-lite0", "resnet18", "resnet34", "resnet50"]
Level = Literal["layer1", "layer2", "layer3", "layer4"]
Strides = Literal["torchvision", "original"]
Layer = tuple[int, int, int]  # of a convolution or pooling: places before and after that it sees, stride

LEVELS: tuple[Level, ...] = ("layer1", "layer2", "layer3", "layer4")
BLOCKS: Mapping[Backbone, tuple[int, int, int, int]] = {  # of a ResNet's four layers
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
}
CONVOLUTIONS: Mapping[Backbone, int] = {"resnet18": 2, "resnet34": 2, "resnet50": 1}  # 3×3, of a block
# Kernels of EfficientNet-Lite0's depth-wise convolutions by stage, the first of which halves the map.
LITE_KERNELS = ((3, 3), (5, 5), (3, 3, 3, 5, 5, 5), (5, 5, 5, 5, 3))


def deepest_stride(level: Level) -> int:
    """Pixels between places of that layer's map; sides of images are to be multiples of it."""
    return 4 << LEVELS.index(level)


def encoder_reach(backbone: Backbone, level: Level, *, strides: Strides, finest: int) -> int:
    """Pixels to each side within which everything lies that can change a value of the decoder.

    level: deepest layer; strides: place of the strides in a bottleneck
    finest: stride of the decoder's values
    """
    number = 1 + LEVELS.index(level)
    layers = (
        lite_layers(number) if backbone == "efficientnet-lite0" else resnet_layers(backbone, number, strides)
    )
    before = after = 0
    stride = 1
    for seen_before, seen_after, factor in layers:
        before, after = before + seen_before * stride, after + seen_after * stride
        stride *= factor
    # A 3×3 convolution at each stride down to 2; doubling moves a value by one place of the finer map.
    while stride > max(2, finest):
        before, after, stride = before + stride + stride // 2, after + stride, stride // 2
    before, after = before + stride, after + stride
    if finest == 1:
        before, after = before + 1 + 1, after + 1
    return max(before, after)


def resnet_layers(backbone: Backbone, number: int, strides: Strides) -> Iterator[Layer]:
    """Convolutions and poolings of a ResNet, up to that many of its layers."""
    yield from ((3, 3, 2), (1, 1, 2))  # the stem's convolution and its pooling
    for layer, blocks in enumerate(BLOCKS[backbone][:number]):
        convolutions = blocks * CONVOLUTIONS[backbone]
        if layer:
            # The first 3×3 convolution halves the map, or a 1×1 before it does.
            yield from [(0, 0, 2), (1, 1, 1)] if strides == "original" else [(1, 1, 2)]
            convolutions -= 1
        yield from [(1, 1, 1)] * convolutions


def lite_layers(number: int) -> Iterator[Layer]:
    """Convolutions of EfficientNet-Lite0 up to that many stages behind the stem.

    At stride 2 they see more places after than before, as TensorFlow pads.
    """
    yield from ((0, 2, 2), (1, 1, 1))  # the stem
    for kernels in LITE_KERNELS[:number]:
        first = kernels[0]
        yield (first - 2) // 2, first - 1 - (first - 2) // 2, 2
        yield from ((kernel // 2, kernel // 2, 1) for kernel in kernels[1:])
