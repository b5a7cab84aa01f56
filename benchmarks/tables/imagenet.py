"""Networks of the simple peers: distances and a linear rule on maps of an ImageNet network as it is.

Sources: Nazare, de Mello & Ponti 2018, "Are pre-trained CNNs good feature extractors for anomaly detection",
which is the "1-NN" of MeDetection's Table 2; Roth et al. 2022, "Towards total recall in industrial anomaly
detection" (PatchCore), section 3. Deviation: the score of an image is not re-weighted by the nearest patch's
neighbours (PatchCore eq. 7). Letters: B images, C channels, H, W places of the finest map, s side of the
image, N training images, P patches, M patches in memory, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from blemish.nn.backbones import backbone_stages
from blemish.nn.resnets import STAGES

ROWS = 4096  # patches whose distances are worked out at once


class Backbone(nn.Module):
    """Images to the maps of some stages; the network stays in eval mode and learns nothing.

    name, weights, original_strides: see `nn.backbones`; levels: names of the stages
    """

    def __init__(self, name: str, weights: str, levels: Sequence[str], *, original_strides: bool) -> None:
        super().__init__()
        deepest = max(levels, key=STAGES.index)
        self.scale, self.stages, self.origin = backbone_stages(
            name, weights, deepest=deepest, setting="weights", original_strides=original_strides
        )
        self.levels = tuple(levels)
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
    Source: PatchCore, section 3.1.
    """
    size = maps[0].shape[-2:]
    averaged = [
        F.avg_pool2d(level_map.float(), neighbourhood, 1, neighbourhood // 2, count_include_pad=False)[
            ..., : level_map.shape[-2], : level_map.shape[-1]
        ]
        for level_map in maps
    ]
    level = [F.interpolate(level_map, size, mode="bilinear", align_corners=False) for level_map in averaged]
    return torch.cat(level, dim=1).flatten(2).transpose(1, 2)


class NearestFeature(nn.Module):
    """1-NN: how far an image's pooled feature lies from that of the nearest normal training image.

    memory: [N, C], pooled features of the normal training images
    """

    memory: Tensor

    def __init__(self, backbone: Backbone, memory: Tensor) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("memory", memory)

    def forward(self, images: Tensor) -> Tensor:
        """The distance to the nearest normal one. [B, 3, s, s] → [B, 1]"""
        (features,) = self.backbone(images)
        return nearest_distances(pooled(features), self.memory)[:, None]


def nearest_distances(points: Tensor, memory: Tensor) -> Tensor:
    """Euclidean distance of each point to the nearest in memory, in fp32. [B, C], [N, C] → [B]

    By differences, not by scalar products: a point that is in the memory is at exactly 0 only so.
    """
    found = torch.cdist(points.float(), memory.float(), compute_mode="donot_use_mm_for_euclid_dist")
    return found.amin(dim=1)


class PatchMemory(nn.Module):
    """A memory of normal patches: an image is as bad as its patch that lies farthest from all of them.

    memory: [M, D], the patches that were kept
    """

    memory: Tensor

    def __init__(self, backbone: Backbone, memory: Tensor, neighbourhood: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.neighbourhood = neighbourhood
        self.register_buffer("memory", memory)

    def forward(self, images: Tensor) -> Tensor:
        """The greatest distance to the nearest normal patch, then that of every place.

        images: [B, 3, s, s] in [0, 1]; returns: [B, 1 + H·W]
        """
        found = patches(self.backbone(images), self.neighbourhood)
        distances = patch_distances(found.flatten(0, 1), self.memory).view(len(images), -1)
        return torch.cat([distances.amax(dim=1, keepdim=True), distances], dim=1)


def patch_distances(points: Tensor, memory: Tensor) -> Tensor:
    """Euclidean distance of each patch to the nearest in memory, by matrix products. [P, D], [M, D] → [P]"""
    centre = memory.mean(dim=0)  # near the origin, products round least
    centred = memory - centre
    squared = centred.square().sum(dim=1)
    parts = [
        (part.square().sum(dim=1) + (squared - 2 * part @ centred.T).amin(dim=1)).clamp(min=0).sqrt()
        for part in torch.split(points - centre, ROWS)
    ]
    return torch.cat(parts)


def coreset(points: Tensor, count: int, *, projection: int, generator: Generator) -> Tensor:
    """Numbers of `count` points that leave none far from all of them: the farthest one next, again and again.

    points: [P, D]; projection: dimensions of a random projection in which distances are measured, where
        that is fewer; returns: [count] in the order of choice
    Source: PatchCore, Algorithm 1 (greedy k-center, Sener & Savarese 2018).
    """
    places = points.float()
    if projection < points.shape[1]:
        drawn = torch.randn(points.shape[1], projection, generator=generator)
        places = places @ (drawn.to(places) / projection**0.5)
    chosen = [int(torch.randint(len(places), (1,), generator=generator))]
    nearest = squared_to(places, chosen[0])
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, squared_to(places, chosen[-1]))
    return torch.tensor(chosen)


def squared_to(points: Tensor, number: int) -> Tensor:
    """Squared distance of every point to the one of that number. [P, D] → [P]"""
    return (points - points[number]).square().sum(dim=1)


class LinearProbe(nn.Module):
    """A linear rule on pooled features, with every label of the training images: what features alone know.

    weight: [C]; offset: scalar; both are of the features as they are
    """

    weight: Tensor
    offset: Tensor

    def __init__(self, backbone: Backbone, weight: NDArray[np.float64], offset: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("weight", torch.from_numpy(weight).float())
        self.register_buffer("offset", torch.tensor(offset).float())

    def forward(self, images: Tensor) -> Tensor:
        """The log odds of a defect. [B, 3, s, s] → [B, 1]"""
        (features,) = self.backbone(images)
        return (pooled(features) @ self.weight + self.offset)[:, None]


def fitted_rule(
    features: NDArray[np.float64], defective: NDArray[np.bool_], *, strength: float
) -> tuple[NDArray[np.float64], float]:
    """Logistic regression on features of unit variance: weight [C] and offset on the features as they are.

    features: [N, C]; defective: [N]; strength: C, how much a training image weighs against the penalty
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    rule = LogisticRegression(C=strength, max_iter=1000, tol=1e-6)
    rule.fit(scaler.transform(features), defective)
    weight = rule.coef_[0] / scaler.scale_
    return weight, float(rule.intercept_[0] - weight @ scaler.mean_)
