"""Normalisations under which no image of a batch changes what is predicted for another.

Group norm sees each image alone. Batch norm takes its statistics from the leading `num_support` images of a
batch (an episode's support, or a whole training batch), or uses its stored ones.
Letters: B batch, C channels. Source: Zhang et al. 2023 leave it open; their code runs support and query
through batch norm together, so that a verdict depends on the images it came with.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

MAX_GROUPS = 8
MIN_GROUP_CHANNELS = 4  # fewer would take a map's contrast away


def new_norm(kind: Literal["group", "batch"], channels: int) -> GroupNorm | SupportBatchNorm:
    """Build the norm of that kind, called with features [B, C, …] and `num_support`."""
    return GroupNorm(channels) if kind == "group" else SupportBatchNorm(channels)


class GroupNorm(nn.GroupNorm):
    """Group norm with the call signature of `SupportBatchNorm`."""

    def __init__(self, channels: int) -> None:
        super().__init__(num_groups(channels), channels)

    def forward(self, features: Tensor, num_support: int | None = None) -> Tensor:
        """Normalise features [B, C, …]. num_support: has no effect"""
        return super().forward(features)


class SupportBatchNorm(nn.Module):
    """Batch norm by the statistics of a batch's leading images, or by stored ones.

    The statistics carry gradient, so that an episode's outer loss is differentiated through them. In training
    mode the stored ones are a running mean of them, with `momentum`.
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

    def forward(self, features: Tensor, num_support: int | None = None) -> Tensor:
        """Normalise features [B, C, …].

        num_support: number of leading images that the statistics are taken from; None: the stored statistics
        """
        if num_support is None:
            mean, variance = self.running_mean, self.running_var
        else:
            mean, variance = self.statistics(features[:num_support])
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
            unbiased = variance.detach() * count / max(1, count - 1)
            with torch.no_grad():
                self.running_mean.lerp_(mean.detach().to(self.running_mean.dtype), self.momentum)
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return mean, variance


def num_groups(channels: int) -> int:
    """Number of groups: divides the channels, at most MAX_GROUPS, each of at least MIN_GROUP_CHANNELS."""
    upper = max(1, min(MAX_GROUPS, channels // MIN_GROUP_CHANNELS))
    return max(groups for groups in range(1, upper + 1) if channels % groups == 0)
