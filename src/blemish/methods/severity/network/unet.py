"""Plain U-Net in place of the severity network: the baseline of the paper's Table 4, trained alike.

Source: Ronneberger, Fischer & Brox 2015, Fig. 1. Letters: B batch, C channels, H, W.
Deviations: 'same' padding and batch norm, as is usual since; three eighths of the width, so that a training
step on 2×2 cells takes as long as one of the severity network on a CPU; one linear output, averaged over each
cell, since the labels are severities.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from blemish.methods.severity.geometry import UNET_DEPTH, UNET_MULTIPLE

WIDTH = 24  # channels at full size, doubled at each of the four poolings; see the module's header


class UNet(nn.Module):
    """Fully convolutional: sides that are no multiple of 16 are continued inside and cut off again.

    channels: 1 (gray) or 3 (colour); cell: side of the square of pixels that one severity stands for
    outputs: K, see `heads`
    """

    def __init__(self, channels: int, cell: int, width: int = WIDTH, *, outputs: int = 1) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(UNET_DEPTH + 1)]
        self.cell = cell
        self.down = nn.ModuleList(
            double_conv(before, after) for before, after in zip([channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(deep, shallow, 2, stride=2) for shallow, deep in pairwise(widths)
        )
        self.merge = nn.ModuleList(double_conv(2 * shallow, shallow) for shallow in widths[:-1])
        self.output = nn.Conv2d(width, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Outputs for each cell, unbounded; see `heads.severities_from`.

        images: [B, C, H, W] in [0, 1], H and W multiples of the cell
        returns: [B, K, H / cell, W / cell] in fp32
        """
        height, width = images.shape[-2:]
        padding = (0, -width % UNET_MULTIPLE, 0, -height % UNET_MULTIPLE)
        features = nn.functional.pad(images, padding, mode="replicate")
        skipped = []
        for level, block in enumerate(self.down):
            features = block(nn.functional.max_pool2d(features, 2) if level else features)
            skipped.append(features)
        for level in reversed(range(UNET_DEPTH)):
            features = self.merge[level](torch.cat([skipped[level], self.up[level](features)], dim=1))
        outputs = self.output(features)[..., :height, :width].float()
        return nn.functional.avg_pool2d(outputs, self.cell)


def double_conv(channels: int, out: int) -> nn.Sequential:
    """Two 3×3 convolutions, each followed by batch norm and ReLU."""
    layers: list[nn.Module] = []
    for before in (channels, out):
        layers += [
            nn.Conv2d(before, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
