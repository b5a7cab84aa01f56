"""A memory of normal patches: an image is as bad as its patch that lies farthest from all of them.

Source: Roth et al. 2022, "Towards total recall in industrial anomaly detection" (PatchCore), section 3.
Deviation: the score is not re-weighted by the nearest patch's neighbours (eq. 7). Letters: B images, H, W
places of the finest map, P patches, M patches in memory, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from benchmarks.tables.peers.features import Backbone, patches

ROWS = 4096  # patches whose distances are worked out at once


class PatchMemory(nn.Module):
    """memory: [M, D], the patches that were kept"""

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
    kept = memory - centre
    squared = kept.square().sum(dim=1)
    parts = [
        (part.square().sum(dim=1) + (squared - 2 * part @ kept.T).amin(dim=1)).clamp(min=0).sqrt()
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
