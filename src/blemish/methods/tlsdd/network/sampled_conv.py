"""Deformable convolution in operators that every runtime has: sample, then a 1×1 convolution.

Source: Dai et al. 2017, eq. 2. ONNX has an operator of its own only since opset 19, and OpenVINO reads none.
Letters: B images, C channels, O channels that come out, h, w cells that come out, T taps of the kernel.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.tlsdd.network.extractor import DeformableConv


class SampledConv(nn.Module):
    """Deformable convolution by sampling and a 1×1 convolution, equal to the original up to rounding."""

    shifts: Tensor

    def __init__(self, deformable: DeformableConv) -> None:
        super().__init__()
        conv = deformable.conv
        side, self.stride = conv.kernel_size[0], conv.stride[0]
        self.offset = deformable.offset
        self.weight = nn.Parameter(conv.weight.flatten(1)[:, :, None, None])  # [O, C·T, 1, 1]
        steps = torch.arange(side) - float(conv.padding[0])
        self.register_buffer("shifts", torch.cartesian_prod(steps, steps))  # [T, 2], down and right

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features [B, C, H, W]; returns: [B, O, h, w]"""
        rows, columns = features.shape[-2:]
        moves = self.offset(features)  # [B, 2·T, h, w]
        height, width = moves.shape[-2:]
        taps = len(self.shifts)
        moves = moves.view(len(moves), taps, 2, height, width)
        down = moves[:, :, 0] + self.stride * torch.arange(height)[:, None] + self.shifts[:, 0, None, None]
        right = moves[:, :, 1] + self.stride * torch.arange(width) + self.shifts[:, 1, None, None]
        # From pixels to the sampler's units, where −1 and 1 are the image's outer edges.
        across, along = ((2 * at + 1) / side - 1 for at, side in ((right, columns), (down, rows)))
        grid = torch.stack([across, along], -1).flatten(1, 2)  # [B, T·h, w, 2]
        sampled = F.grid_sample(features, grid, align_corners=False)
        return F.conv2d(sampled.view(len(moves), -1, height, width), self.weight)


def with_sampled_convs(extractor: nn.Module) -> nn.Module:
    """Copy an extractor without deformable convolutions; one that has none is returned itself."""
    if not any(isinstance(module, DeformableConv) for module in extractor.modules()):
        return extractor
    copied = copy.deepcopy(extractor)
    for parent in list(copied.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, DeformableConv):
                setattr(parent, name, SampledConv(module))
    return copied
