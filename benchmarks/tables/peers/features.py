"""Maps of an ImageNet ResNet as it is, for the peers: by stage, and as locally averaged patches.

Source: Roth et al. 2022 (PatchCore), section 3.1: neighbourhoods are averaged, the coarser map is brought to
the finer one's places. Letters: B images, C channels, H, W, s side of the image, P places.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.tables.experiment import expanded
from benchmarks.tables.peers.settings import PeerSettings
from blemish.nn.resnets import STAGES, ImagenetScale, resnet_stages


class Backbone(nn.Module):
    """Images to the maps of some stages; the network stays in eval mode and learns nothing."""

    def __init__(self, settings: PeerSettings, levels: Sequence[str]) -> None:
        super().__init__()
        stages, self.origin = resnet_stages(
            settings.backbone,
            str(expanded({"weights": settings.weights})["weights"]),
            deepest=max(levels, key=STAGES.index),
            setting="weights",
            original_strides=settings.strides == "original",
        )
        self.levels = tuple(levels)
        self.scale = ImagenetScale()
        self.stages = stages
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of `levels`, [B, C, H, W] each. images: [B, 3, s, s] in [0, 1]"""
        features = self.scale(images)
        maps = {}
        for name, stage in self.stages.items():
            features = maps[name] = stage(features)
        return [maps[name] for name in self.levels]


def pooled(features: Tensor) -> Tensor:
    """Each map's average over all places, in fp32. [B, C, H, W] → [B, C]"""
    return features.float().mean(dim=(2, 3))


def patches(maps: Sequence[Tensor], neighbourhood: int) -> Tensor:
    """Each place of the first map with the averages of its neighbourhood in every map, in fp32.

    maps: [B, C, H, W] each, the finest first; returns: [B, H·W, ΣC], places row by row
    """
    size = maps[0].shape[-2:]
    averaged = [
        F.avg_pool2d(one.float(), neighbourhood, 1, neighbourhood // 2, count_include_pad=False)[
            ..., : one.shape[-2], : one.shape[-1]
        ]
        for one in maps
    ]
    level = [F.interpolate(one, size, mode="bilinear", align_corners=False) for one in averaged]
    return torch.cat(level, dim=1).flatten(2).transpose(1, 2)
