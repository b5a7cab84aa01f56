"""Feature reweighting P: boxed supports to one vector per class, and a class's own features F ⊗ w.

Source: TL-SDD, section III-A-2, Fig. 4 and eq. 1. Letters: B images, m channels of a map, K classes, S
supports, h, w a support's sides, n length of any vector.
The paper leaves the light CNN open: stride-2 convolutions with group norm (a batch may hold one support) and
a global maximum, which a small defect in a large crop survives.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from blemish.methods.tlsdd.network.extractor import FeatureMaps
from blemish.methods.tlsdd.settings import TlsddSettings

GROUP = 16  # channels that share their statistics, at most


class SupportEncoder(nn.Module):
    """Light CNN from supports to feature weights; they start at 1, as its last layer starts at zero."""

    def __init__(self, settings: TlsddSettings) -> None:
        super().__init__()
        widths = (4, *settings.support_widths)
        self.stages = nn.Sequential(*(stage(*pair) for pair in pairwise(widths)))
        self.linear = nn.Linear(widths[-1], settings.width)
        self.bounded = settings.activation == "sigmoid"
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, supports: Tensor) -> Tensor:
        """Vector of weights for each support.

        supports: [S, 4, h, w] in [0, 1], RGB and the box as a mask
        returns: [S, m] fp32, in (0, 2) if bounded
        """
        activations = self.linear(self.stages(supports).amax((2, 3))).float()
        return 2 * torch.sigmoid(activations) if self.bounded else activations + 1


def class_means(values: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Mean over each class's supports, in fp32.

    values: [S, n]; labels: [S] in [0, classes), a negative one is left out
    returns: means [K, n], known [K]; a class without supports has zeros and False
    """
    members = labels == torch.arange(classes, device=labels.device)[:, None]
    return masked_means(members, values)


def means_of_others(values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the other supports of its class, for each support, in fp32.

    values: [S, n]; labels: [S]
    returns: means [S, n], has_others [S]; a class's only support has zeros and False
    """
    others = labels == labels[:, None]
    others = others & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return masked_means(others, values)


def masked_means(members: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [M, n] of the values [S, n] that each row of members [M, S] selects; which rows [M] select any."""
    counts = members.sum(1)
    with torch.autocast(values.device.type, enabled=False):
        sums = members.float() @ values.float()
    return sums / counts.clamp(min=1)[:, None], counts > 0


def reweighted(maps: FeatureMaps, vectors: Tensor) -> dict[str, Tensor]:
    """F ⊗ w, eq. 1: every map's channels times their weights.

    maps: [B, m, h, w]; vectors: [m], or [B, m] with one for each image
    """
    return {
        name: features * vectors.to(features.dtype).reshape(-1, features.shape[1], 1, 1)
        for name, features in maps.items()
    }


def stage(channels: int, out: int) -> nn.Sequential:
    """3×3 at stride 2, group norm, ReLU."""
    groups = out // math.gcd(out, GROUP)
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False), nn.GroupNorm(groups, out), nn.ReLU()
    )
