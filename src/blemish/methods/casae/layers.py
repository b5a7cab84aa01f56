"""What CASAE's networks share: how they see an image, and a 3×3 convolution with a norm, if any, and ReLU."""

from __future__ import annotations

from torch import Tensor, nn

from blemish.methods.casae.settings import Norm
from blemish.nn.norms import groups_of

LEAST_DEVIATION = 1 / 255  # one gray level of 8 bits: noise below it stays below 1


def standardised(images: Tensor) -> Tensor:
    """Each image by itself with mean 0 and standard deviation 1 over all its values; a flat one is about 0.

    images: [B, C, H, W] in [0, 1]; returns: the same shape
    """
    centered = images - images.mean(dim=(1, 2, 3), keepdim=True)
    deviation = centered.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centered / deviation.clamp(min=LEAST_DEVIATION)


def convolution(channels: int, out: int, norm: Norm, *, factor: int = 1) -> list[nn.Module]:
    """The layers, which keep the size. factor: atrous factor"""
    return [
        nn.Conv2d(channels, out, 3, padding=factor, dilation=factor),
        *norm_layers(out, norm),
        nn.ReLU(inplace=True),
    ]


def norm_layers(channels: int, norm: Norm) -> list[nn.Module]:
    """The norm of so many channels; none at all where the settings say so, as in the paper."""
    match norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "group":
            return [nn.GroupNorm(groups_of(channels), channels)]
        case "none":
            return []
