"""A convolution of CASAE's networks as they are all built: 3×3, a norm if there is to be one, ReLU."""

from __future__ import annotations

from torch import nn

from blemish.methods.casae.settings import Norm
from blemish.nn.norms import groups_of


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
