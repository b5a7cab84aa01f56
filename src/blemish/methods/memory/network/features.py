"""Whitened features of patches: local means of a pretrained network's maps, projected and put together.

Source: Roth et al. 2022 (PatchCore), section 3.1, for the local means. Projection and interpolation commute,
so that each map is projected at its own resolution, with fewer channels to interpolate.
Around the images is a frame of what they mirror, which is cut off again: networks pad with zeros, and at the
edges of good images the features are then farther from all others than at most defects.
Letters: B batch, C channels of all maps, D dimensions, H, W pixels, h, w places of the finest map, P patches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from blemish.methods.common.encoder_reach import deepest_stride
from blemish.methods.memory.settings import FRAME, MemorySettings
from blemish.nn.backbones import backbone_stages


class FeatureNetwork(nn.Module):
    """A pretrained network that learns nothing, and a projection that is computed, see `set_projection`."""

    def __init__(self, settings: MemorySettings) -> None:
        super().__init__()
        assert settings.backbone != "auto", "resolved before a network is built"
        self.levels = settings.levels
        self.scale, self.stages, self.origin = backbone_stages(
            settings.backbone,
            settings.backbone_weights,
            deepest=self.levels[-1],
            setting="backbone_weights",
            original_strides=settings.backbone_strides == "original",
        )
        self.eval()
        with torch.no_grad():
            side = 2 * FRAME
            self.channels = tuple(each.shape[1] for each in self.maps(torch.zeros(1, 3, side, side)))
        dimensions = min(settings.dimensions, sum(self.channels))
        self.projections = nn.ModuleList(
            nn.Conv2d(channels, dimensions, 1, bias=number == 0)
            for number, channels in enumerate(self.channels)
        )
        self.requires_grad_(False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Local means of each level's map, the finest first. images: [B, 3, H, W] in [0, 1]"""
        features = self.scale(functional.pad(images, (FRAME,) * 4, "reflect"))
        found = []
        for name, stage in self.stages.items():
            features = stage(features)
            if name in self.levels:
                means = functional.avg_pool2d(features, 3, 1, 1)
                found.append(without_frame(means, deepest_stride(name)))
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
            functional.interpolate(level, scale_factor=2.0**number, mode="bilinear", align_corners=False)
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


def without_frame(level: Tensor, stride: int) -> Tensor:
    """Cut off the frame. level: [B, C, ·, ·], the map of framed images; stride: in pixels"""
    edge = FRAME // stride
    return level[:, :, edge:-edge, edge:-edge]
