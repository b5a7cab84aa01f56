"""Normalisations under which no image of a batch bears on what is said of another.

Group norm sees each image alone. Batch norm is told which images its statistics are taken from: the leading
`given` of a batch (an episode's support, or all of a training batch), or none, and then stored ones serve.
Letters: B batch, C channels. Source: Zhang et al. 2023 leave it open; their code runs support and query
through batch norm together, so that a verdict depends on the images it came with.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

GROUPS = 8
LEAST_OF_GROUP = 4  # channels; fewer would take a map's contrast away


def new_norm(kind: Literal["group", "batch"], channels: int) -> GroupNorm | GivenNorm:
    """The norm of that kind, called with features [B, C, …] and `given`."""
    return GroupNorm(channels) if kind == "group" else GivenNorm(channels)


class GroupNorm(nn.GroupNorm):
    """Group norm that is called as `GivenNorm` is."""

    def __init__(self, channels: int) -> None:
        super().__init__(groups_of(channels), channels)

    def forward(self, features: Tensor, given: int | None = None) -> Tensor:
        """features: [B, C, …]; given: of no effect"""
        return super().forward(features)


class GivenNorm(nn.Module):
    """Batch norm by the statistics of a batch's leading images, or by stored ones.

    The statistics carry gradient, so that an episode's outer loss is differentiated through them. In training
    mode the stored ones follow those that are taken, by `momentum`.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, features: Tensor, given: int | None = None) -> Tensor:
        """features: [B, C, …]; given: how many leading images the statistics are of; None: stored ones"""
        if given is None:
            mean, variance = self.running_mean, self.running_var
        else:
            mean, variance = self.statistics(features[:given])
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shape = (1, -1, *(1,) * (features.ndim - 2))
        normalised = features * scale.view(shape) + (self.bias - mean * scale).view(shape)
        return normalised.to(features.dtype)

    def statistics(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance [C] of each channel, at least in fp32."""
        exact = features.to(torch.promote_types(features.dtype, torch.float32))
        over = [0, *range(2, features.ndim)]
        variance, mean = torch.var_mean(exact, over, correction=0)
        if self.training:
            count = features.numel() // features.shape[1]
            self.follow(mean.detach(), variance.detach() * count / max(1, count - 1))
        return mean, variance

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)


def groups_of(channels: int) -> int:
    """As many groups as divide the channels, at most GROUPS, of at least LEAST_OF_GROUP channels each."""
    most = max(1, min(GROUPS, channels // LEAST_OF_GROUP))
    return max(groups for groups in range(1, most + 1) if channels % groups == 0)
