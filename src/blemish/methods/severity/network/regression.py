"""Severity regression network: a gray or colour image to the severity of each r×r cell.

Source: He & Liu 2020, section III-B, Fig. 3 and 4, Tables 1-3. Letters: B batch, C channels, H, W.
Deviations: the order conv1 → pool → stage1 → conv2 → pool → stage2 → conv3 → conv4 is our reading of Fig. 3,
and conv3 is followed by batch norm and ReLU, without which conv3 and conv4 would be one linear map.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from blemish.methods.severity.geometry import POOL_STRIDES
from blemish.methods.severity.heads import num_outputs
from blemish.methods.severity.network.unet import UNet
from blemish.methods.severity.settings import SeveritySettings
from blemish.nn.encoder import new_encoder_decoder

Padding = Literal["replicate", "zeros"]


def new_network(settings: SeveritySettings) -> nn.Module:
    """Build stage 1's network with its first weights: an encoder with its decoder, the paper's, or the U-Net
    it is compared with.

    Raises BlemishError when an encoder's weights cannot be had or do not fit.
    """
    outputs = num_outputs(settings.loss)
    if settings.has_encoder:
        return new_encoder_decoder(settings, outputs=outputs, stride=settings.cell)
    if settings.network == "unet":
        return UNet(settings.channels, settings.cell, outputs=outputs)
    return SeverityNetwork(
        settings.channels, settings.cell, conv2=settings.conv2, outputs=outputs, padding=settings.padding
    )


class SeverityNetwork(nn.Module):
    """Fully convolutional: any image whose sides are multiples of the cell gives a map of severities.

    channels: 1 (gray) or 3 (colour)
    cell: r, the side of the square of pixels that one severity stands for; 1, 2 or 4
    conv2: "after_stage1" or "before_stage1"; the reach is the same, both work at the stride of pool1
    outputs: K, see `heads`; padding: of all layers, "replicate" or "zeros"
    """

    def __init__(
        self,
        channels: int,
        cell: int,
        *,
        conv2: str = "after_stage1",
        outputs: int = 1,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        first_stride, second_stride = POOL_STRIDES[cell]
        self.conv2_first = conv2 == "before_stage1"
        self.conv1 = nn.Conv2d(channels, 16, 5, padding=2, padding_mode=padding)
        self.pool1 = mean_pool(first_stride, padding)
        self.stage1 = residual_stage(16, middle=8, out=32, padding=padding)
        self.conv2 = nn.Conv2d(16 if self.conv2_first else 32, 16, 3, padding=1, padding_mode=padding)
        self.pool2 = mean_pool(second_stride, padding)
        self.stage2 = residual_stage(32 if self.conv2_first else 16, middle=16, out=64, padding=padding)
        self.conv3 = nn.Conv2d(64, 512, 3, padding=1, bias=False, padding_mode=padding)
        self.norm3 = nn.BatchNorm2d(512)
        self.conv4 = nn.Conv2d(512, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Outputs for each cell, unbounded; see `heads.severities_from`.

        images: [B, C, H, W] in [0, 1], H and W multiples of the cell
        returns: [B, K, H / cell, W / cell] in fp32
        """
        features = self.pool1(self.conv1(images))
        features = (
            self.stage1(self.conv2(features)) if self.conv2_first else self.conv2(self.stage1(features))
        )
        features = self.stage2(self.pool2(features))
        return self.conv4(torch.relu_(self.norm3(self.conv3(features)))).float()


def mean_pool(stride: int, padding: Padding) -> nn.Module:
    """Mean over 3×3 pixels; beyond the image, zeros or its continued border."""
    if padding == "zeros":
        return nn.AvgPool2d(3, stride, padding=1)
    return nn.Sequential(nn.ReplicationPad2d(1), nn.AvgPool2d(3, stride))


def residual_stage(channels: int, *, middle: int, out: int, padding: Padding) -> nn.Sequential:
    """Two pre-activation bottlenecks, the first with a projection shortcut (Tables 2 and 3)."""
    return nn.Sequential(Bottleneck(channels, middle, out, padding), Bottleneck(out, middle, out, padding))


class Bottleneck(nn.Module):
    """1×1 → 5×5 → 5×5, each after batch norm and ReLU (Fig. 4)."""

    def __init__(self, channels: int, middle: int, out: int, padding: Padding) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *normalised_conv(channels, middle, 1, padding),
            *normalised_conv(middle, middle, 5, padding),
            *normalised_conv(middle, out, 5, padding),
        )
        self.shortcut = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.shortcut(features) + self.body(features)


def normalised_conv(channels: int, out: int, kernel: int, padding: Padding) -> list[nn.Module]:
    mode: Padding = padding if kernel > 1 else "zeros"
    conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False, padding_mode=mode)
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), conv]
