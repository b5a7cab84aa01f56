"""The stages of a ResNet by name, and the scale of the images its ImageNet weights were trained on.

Letters: B batch, H, W. Source: torchvision's names of a ResNet's parts and its ImageNet transforms.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def stages_up_to(deepest: str) -> tuple[str, ...]:
    """Names of the stages up to that one, the stem being all before layer1."""
    return STAGES[: STAGES.index(deepest) + 1]


def stages_of(backbone: ResNet, used: Sequence[str]) -> nn.ModuleDict:
    """The named stages of a ResNet."""
    stem = nn.Sequential(backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool)
    return nn.ModuleDict({name: stem if name == "stem" else getattr(backbone, name) for name in used})


def out_channels(stage: nn.Module) -> int:
    """Channels that a ResNet stage gives: those of its last convolution."""
    return [module for module in stage.modules() if isinstance(module, nn.Conv2d)][-1].out_channels


class ImagenetScale(nn.Module):
    """Images to the mean 0 and deviation 1 that ImageNet's have in each channel."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """images: [B, 3, H, W] in [0, 1]"""
        return (images - self.mean) / self.std
