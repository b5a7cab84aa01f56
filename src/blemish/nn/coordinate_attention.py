"""Coordinate attention: a map is weighted by the means of its rows and columns.

Source: Hou, Zhou & Feng 2021, section 3.2; Zhang et al. 2023, eq. 6. Letters: B batch, C channels, H, W, m
inner channels.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.nn.norms import new_norm


class CoordinateAttention(nn.Module):
    """Weights in (0, 1) for each channel's rows and columns, from means along both axes.

    norm: kind of `nn.norms.new_norm`; m = max(min_channels, channels // reduction)
    """

    def __init__(
        self, channels: int, *, norm: Literal["group", "batch"], reduction: int = 32, min_channels: int = 8
    ) -> None:
        super().__init__()
        inner = max(min_channels, channels // reduction)
        self.shared = nn.Conv2d(channels, inner, 1)
        self.norm = new_norm(norm, inner)
        self.rows = nn.Conv2d(inner, channels, 1)
        self.columns = nn.Conv2d(inner, channels, 1)

    def forward(self, features: Tensor, num_support: int | None = None) -> Tensor:
        """Weighted features, [B, C, H, W]. features: [B, C, H, W]; num_support: see `nn.norms`"""
        height = features.shape[2]
        row_means = features.mean(3, keepdim=True)  # [B, C, H, 1], eq. 6
        column_means = features.mean(2, keepdim=True).transpose(2, 3)  # [B, C, W, 1]
        both = self.shared(torch.cat([row_means, column_means], 2))
        codes = F.hardswish(self.norm(both, num_support))  # [B, m, H + W, 1]
        row_weights = self.rows(codes[:, :, :height]).sigmoid()  # [B, C, H, 1]
        column_weights = self.columns(codes[:, :, height:].transpose(2, 3)).sigmoid()  # [B, C, 1, W]
        return features * row_weights * column_weights
