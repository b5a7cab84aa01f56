"""Whitened features of patches: local means of a pretrained network's maps, projected and put together.

Sources: Roth et al. 2022 (PatchCore), section 3.1, for the local means; Sandler et al. 2018 (MobileNetV2),
section 6.2, for EfficientNet-Lite0's maps, which are the expansions behind its stages: these end in few
channels without an activation. Projection and interpolation commute, so that each map is projected at its own
resolution, with fewer channels to interpolate.
Letters: B batch, C channels of all maps, D dimensions, H, W pixels, h, w places of the finest map, P patches.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.memory.settings import MemorySettings
from blemish.nn.backbones import LITE, backbone_stages
from blemish.nn.efficientnet_lite import first_expansion
from blemish.nn.resnets import STAGES


class FeatureNetwork(nn.Module):
    """A pretrained network that learns nothing, and a projection that is computed, see `set_projection`."""

    def __init__(self, settings: MemorySettings) -> None:
        super().__init__()
        assert settings.backbone != "auto", "resolved before a network is built"
        self.levels = settings.levels
        expands = settings.backbone == LITE
        last = self.levels[-1]
        self.scale, self.stages, self.origin = backbone_stages(
            settings.backbone,
            settings.backbone_weights,
            deepest=STAGES[STAGES.index(last) + 1] if expands else last,
            setting="backbone_weights",
            original_strides=settings.backbone_strides == "original",
        )
        self.expansions = nn.ModuleDict()
        if expands:
            behind = dict(zip(self.stages, list(self.stages.values())[1:], strict=False))
            self.expansions.update({level: deepcopy(first_expansion(behind[level])) for level in self.levels})
            del self.stages[list(self.stages)[-1]]
        self.eval()
        with torch.no_grad():
            side = settings.multiple
            self.channels = tuple(each.shape[1] for each in self.maps(torch.zeros(1, 3, side, side)))
        dimensions = min(settings.dimensions, sum(self.channels))
        self.projections = nn.ModuleList(
            nn.Conv2d(channels, dimensions, 1, bias=number == 0)
            for number, channels in enumerate(self.channels)
        )
        self.requires_grad_(False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Local means of each level's map, the finest first. images: [B, 3, H, W] in [0, 1]"""
        features = self.scale(images)
        found = []
        for name, stage in self.stages.items():
            features = stage(features)
            if name in self.levels:
                level = self.expansions[name](features) if name in self.expansions else features
                found.append(F.avg_pool2d(level, 3, 1, 1, count_include_pad=False))
        return found

    def unprojected(self, images: Tensor) -> Tensor:
        """Features before they are projected, [B, C, h, w]. images: as of `forward`"""
        return torch.cat(self.at_one_resolution(self.maps(images)), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Whitened features [B, D, h, w]. images: [B, 3, H, W] in [0, 1], H and W multiples of the stride of
        the deepest level
        """
        projected = [
            project(level) for project, level in zip(self.projections, self.maps(images), strict=True)
        ]
        return torch.stack(self.at_one_resolution(projected)).sum(0)

    def at_one_resolution(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps interpolated to the resolution of the first."""
        first = maps[0]
        coarser = (
            F.interpolate(level, scale_factor=2.0**number, mode="bilinear", align_corners=False)
            for number, level in enumerate(maps[1:], start=1)
        )
        return [first, *coarser]

    def set_projection(self, mean: Tensor, matrix: Tensor) -> None:
        """Project features f to (f − mean) @ matrix. mean: [C]; matrix: [C, D]"""
        parts = torch.split(matrix, list(self.channels))
        for project, part in zip(self.projections, parts, strict=True):
            assert isinstance(project, nn.Conv2d)
            project.weight.copy_(part.T[:, :, None, None])
        first = self.projections[0]
        assert isinstance(first, nn.Conv2d) and first.bias is not None
        first.bias.copy_(-mean @ matrix)
