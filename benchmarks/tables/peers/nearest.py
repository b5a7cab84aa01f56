"""1-NN: how far an image's pooled feature lies from that of the nearest normal training image.

Source: Nazare, de Mello & Ponti 2018, "Are pre-trained CNNs good feature extractors for anomaly detection",
which is the "1-NN" of MeDetection's Table 2. Letters: B images, N normal training images, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.tables.peers.features import Backbone, pooled


class NearestFeature(nn.Module):
    """memory: [N, C], pooled features of the normal training images"""

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
