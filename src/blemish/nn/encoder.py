"""Pretrained encoder with a light decoder: an image to a map of values at stride 1, 2 or 4.

The encoder is a ResNet or EfficientNet-Lite0 with frozen norms; its maps at strides 2 to 16 (32 with layer4)
are brought to one width, raised and added from the deepest to the finest, as in a feature pyramid. At stride
1 the image itself is set beside them, as thin lines are lost at stride 2.
Source: Lin et al. 2017, section 3, for the pyramid. Letters: B batch, C channels, H, W, D width, K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from blemish.nn.backbones import LITE, LITE_NAMES, backbone_stages
from blemish.nn.resnets import out_channels

LEAK = 0.1  # slope of the decoder's activations below 0


class EncoderChoice(Protocol):
    """Settings of an encoder with a decoder, see `methods.common.encoder_settings`."""

    @property
    def encoder(self) -> str: ...
    @property
    def encoder_weights(self) -> str: ...
    @property
    def encoder_strides(self) -> str: ...
    @property
    def encoder_level(self) -> str: ...
    @property
    def encoder_rate(self) -> float: ...
    @property
    def encoder_trainable_stages(self) -> int: ...
    @property
    def decoder_width(self) -> int: ...


class Encoder(nn.Module):
    """Stages of a pretrained network as maps of an image at strides 2, 4, 8 …, the finest first.

    body: stages by name from the stem on; of a ResNet's stem the map before its pooling is taken
    """

    def __init__(self, body: nn.ModuleDict) -> None:
        super().__init__()
        self.body = body
        self.channels = tuple(out_channels(stage) for stage in body.values())

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps [B, C, H / 2, W / 2], [B, C, H / 4, W / 4] … of normalised images [B, 3, H, W]."""
        maps = []
        features = images
        for stage in self.body.values():
            if isinstance(stage, nn.Sequential) and isinstance(stage[-1], nn.MaxPool2d):
                maps.append(stage[:-1](features))
                features = stage[-1](maps[-1])
            else:
                features = stage(features)
                maps.append(features)
        return maps


class Decoder(nn.Module):
    """Maps of an encoder to values at a stride.

    channels: of the maps, the finest first; width: D; outputs: K; stride: 1, 2 or 4
    """

    def __init__(self, channels: Sequence[int], *, width: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.finest = {1: 0, 2: 0, 4: 1}[stride]  # number of the finest map that is used
        used = channels[self.finest :]
        self.laterals = nn.ModuleList(nn.Conv2d(each, width, 1) for each in used)
        self.merges = nn.ModuleList(convolution(width, width) for _ in used)
        self.reduce = nn.Conv2d(width, width // 2, 1) if stride == 1 else None  # before the costliest step
        self.detail = convolution(width // 2 + 3, width // 2) if stride == 1 else None
        self.output = nn.Conv2d(width // 2 if stride == 1 else width, outputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.output.weight, std=0.01)

    def forward(self, maps: Sequence[Tensor], images: Tensor) -> Tensor:
        """Values [B, K, H / stride, W / stride] in fp32.

        maps: all, the finest first; images: normalised, [B, 3, H, W], which are looked at for stride 1
        """
        used = maps[self.finest :]
        features: Tensor | None = None
        for lateral, merge, level in zip(
            reversed(self.laterals), reversed(self.merges), reversed(used), strict=True
        ):
            own = lateral(level)
            features = merge(own if features is None else own + doubled(features))
        assert features is not None
        if self.detail is not None and self.reduce is not None:
            raised = doubled(self.reduce(features))
            features = self.detail(torch.cat([raised, images.to(raised.dtype)], dim=1))
        values: Tensor = self.output(features)
        return values.float()


class EncoderDecoder(nn.Module):
    """Encoder and decoder as one network, for sides that are multiples of the encoder's deepest stride.

    Gray images go in as three equal channels.
    scale: brings images to the values that the encoder's weights were learned with
    origin: words on where these are from
    """

    def __init__(self, scale: nn.Module, encoder: Encoder, decoder: Decoder, *, origin: str) -> None:
        super().__init__()
        self.origin = origin
        self.scale = scale
        self.encoder, self.decoder = encoder, decoder

    def forward(self, images: Tensor) -> Tensor:
        """Values [B, K, H / stride, W / stride] in fp32. images: [B, 1 or 3, H, W] in [0, 1]"""
        normalised = self.scale(images.expand(-1, 3, -1, -1))
        values: Tensor = self.decoder(self.encoder(normalised), normalised)
        return values


def new_encoder_decoder(settings: EncoderChoice, *, outputs: int, stride: int) -> EncoderDecoder:
    """Build the network of the settings.

    outputs, stride: of the decoder. With a rate of 0 the encoder does not learn, else its deepest stages do.
    Raises BlemishError when the weights cannot be had or do not fit.
    """
    scale, body, origin = backbone_stages(
        settings.encoder,
        settings.encoder_weights,
        deepest=settings.encoder_level,
        setting="encoder_weights",
        original_strides=settings.encoder_strides == "original",
    )
    if settings.encoder == LITE:  # in bundles its stages have their own names
        body = nn.ModuleDict({LITE_NAMES[name]: stage for name, stage in body.items()})
    encoder = Encoder(body)
    trainable = settings.encoder_trainable_stages if settings.encoder_rate > 0 else 0
    for stage in list(body.values())[: max(0, len(body) - trainable)]:
        stage.requires_grad_(False)
    decoder = Decoder(encoder.channels, width=settings.decoder_width, outputs=outputs, stride=stride)
    return EncoderDecoder(scale, encoder, decoder, origin=f"encoder {origin}")


def convolution(channels: int, out: int) -> nn.Sequential:
    """3×3 convolution, batch norm, leaky ReLU.

    With a plain ReLU all features of the last layer became 0 wherever the network saw nothing sound: there
    every place had the value of the output's bias, and none could be told from another.
    """
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.LeakyReLU(LEAK, inplace=True),
    )


def doubled(features: Tensor) -> Tensor:
    """Features with each place repeated 2×2."""
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")
