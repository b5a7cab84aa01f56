"""Layers that CASAE's networks share: standardised input, 3×3 convolutions with a norm, first weights.

Source of the first weights: Tao et al. 2018, section 5.1, for the compact CNN; He et al. 2015 where the paper
is silent. Letters: B batch, C channels, H, W.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from blemish.methods.casae.settings import NormKind
from blemish.nn.norms import num_groups

PAPER_DEVIATION = 0.001  # of first weights
MIN_DEVIATION = 1 / 255  # one gray level of 8 bits: noise below it stays below 1


def standardised(images: Tensor) -> Tensor:
    """Standardise each image to mean 0 and deviation 1 over all its values; a flat one becomes about 0.

    images: [B, C, H, W] in [0, 1]; returns: the same shape
    """
    centered = images - images.mean(dim=(1, 2, 3), keepdim=True)
    deviation = centered.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centered / deviation.clamp(min=MIN_DEVIATION)


def convolution(channels: int, out: int, norm: NormKind, *, factor: int = 1) -> list[nn.Module]:
    """Layers of a 3×3 convolution that keeps the size. factor: atrous factor"""
    return [
        nn.Conv2d(channels, out, 3, padding=factor, dilation=factor),
        *norm_layers(out, norm),
        nn.ReLU(inplace=True),
    ]


def norm_layers(channels: int, norm: NormKind) -> list[nn.Module]:
    """Norm of the channels as a list of layers, empty without one, as in the paper."""
    match norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "group":
            return [nn.GroupNorm(num_groups(channels), channels)]
        case "none":
            return []


def draw_weights(network: nn.Module, initial: Literal["paper", "he"] = "he") -> None:
    """Draw the weights of all convolutions and linear layers from normal distributions; biases start at zero.

    "he" keeps the size of signals through ReLUs; "paper" is N(0, 0.001), whatever the layer.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if initial == "paper":
                nn.init.normal_(module.weight, std=PAPER_DEVIATION)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
