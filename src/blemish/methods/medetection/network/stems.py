"""Stems of MeDetection: networks from the images of a pair to the maps that are compared.

Source: Zhang et al. 2023, Fig. 2; the layers of the paper's stem are their code's. Letters: B batch, C
channels, s side of the square image, h, w sides of the map.
Deviations: a network with the weights of ImageNet may stand in its place, its batch norms with theirs, too.
EfficientNet-Lite0's stages end in few channels without an activation; the expansion in the block behind is
taken, six times as many channels with one, as in Sandler et al. 2018, "MobileNetV2", section 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.common.backbone_choice import BACKBONE, fitting_network, is_file
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.nn.backbones import LITE, backbone_stages
from blemish.nn.efficientnet_lite import first_expansion
from blemish.nn.norms import new_norm
from blemish.nn.resnets import STAGES, out_channels

CONVOLUTIONS = (2, 2, 3)  # of the paper stem's stages


def new_stem(settings: MedetectionSettings) -> tuple[PaperStem | BackboneStem, str]:
    """Build the stem that the settings describe; returns it and a line on where its weights are from.

    Raises BlemishError when a backbone's weights cannot be had or do not fit.
    """
    assert settings.backbone != "auto", "resolved before a network is built"
    if settings.backbone == "paper":
        return PaperStem(settings), "paper stem: random initial weights"
    if is_file(settings.backbone_weights) and settings.backbone != LITE:
        fitting_network(settings, BACKBONE)
    levels = settings.backbone_level.split("+")
    expands = settings.backbone == LITE
    scale, body, origin = backbone_stages(
        settings.backbone,
        settings.backbone_weights,
        deepest=STAGES[STAGES.index(levels[-1]) + 1] if expands else levels[-1],
        setting="backbone_weights",
        original_strides=settings.backbone_strides == "original",
    )
    expansions: dict[str, nn.Module] = {}
    if expands:
        behind = dict(zip(body, list(body.values())[1:], strict=False))
        expansions = {level: deepcopy(first_expansion(behind[level])) for level in levels}
        del body[list(body)[-1]]
    stem = BackboneStem(scale, body, levels, expansions)
    stem.requires_grad_(settings.stem_learns)
    return stem, origin


class PaperStem(nn.Module):
    """Three stages of 3×3 convolutions, each ending in a max pool and a norm."""

    def __init__(self, settings: MedetectionSettings) -> None:
        super().__init__()
        ins = (3, *settings.stem_widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(*convolutions(before, width, count, settings.stem_activation), nn.MaxPool2d(2))
            for before, width, count in zip(ins, settings.stem_widths, CONVOLUTIONS, strict=True)
        )
        self.norms = nn.ModuleList(new_norm(settings.norm, width) for width in settings.stem_widths)
        self.channels = settings.stem_widths[-1]
        self.stride = 2 ** len(self.stages)

    def forward(self, images: Tensor, num_support: int | None = None) -> Tensor:
        """Map [B, C, s / 8, s / 8] of images [B, 3, s, s] in [0, 1]. num_support: see `nn.norms`"""
        for stage, norm in zip(self.stages, self.norms, strict=True):
            images = norm(stage(images), num_support)
        return images


class BackboneStem(nn.Module):
    """A pretrained network up to one of its stages.

    scale: brings images to the values that its weights were learned with
    body: stages by the names of a ResNet's, see `nn.backbones`
    levels: stages whose maps it gives, one upon the other; the last is the deepest. Of the finer ones the
        maximum of as many places as fall to one of the deepest is taken, so that a small spot is not averaged
    expansions: by level, what its map passes before it is given
    """

    def __init__(
        self,
        scale: nn.Module,
        body: nn.ModuleDict,
        levels: Sequence[str],
        expansions: Mapping[str, nn.Module],
    ) -> None:
        super().__init__()
        self.scale = scale
        self.body = body
        self.levels = tuple(levels)
        self.expansions = nn.ModuleDict(expansions)
        self.channels = sum(out_channels(expansions.get(level, body[level])) for level in levels)
        self.stride = 2 ** (1 + STAGES.index(levels[-1]))

    def forward(self, images: Tensor, num_support: int | None = None) -> Tensor:
        """Map [B, C, s / stride, s / stride] of images [B, 3, s, s] in [0, 1]. num_support: has no effect"""
        features = self.scale(images)
        maps = []
        for name, stage in self.body.items():
            features = stage(features)
            if name in self.levels:
                maps.append(self.expansions[name](features) if name in self.expansions else features)
        finer = [F.max_pool2d(level, level.shape[2] // features.shape[2]) for level in maps[:-1]]
        return torch.cat([*finer, maps[-1]], 1)


def convolutions(ins: int, width: int, count: int, activation: bool) -> Iterator[nn.Module]:
    for number in range(count):
        yield nn.Conv2d(width if number else ins, width, 3, padding=1)
        if activation:
            yield nn.ReLU(inplace=True)
