"""Network of MeDetection: how an image differs from a normal one, whether that is a defect, and where.

Source: Zhang et al. 2023, Fig. 2 and eq. 1; layers that the text leaves open are their code's. Letters: B
pairs, s side of the square image, C channels, h, w sides of a map.
Grad-CAM weighs a map's channels by the mean gradient of the score. Here the score is linear in maxima over
bins of the last map, so each bin's weight goes to one cell whatever the image, and that mean is a sum of the
head's weights: no gradient is taken in use. Deviation: the difference is compared at the stem's resolution
(`resize_difference` off), and only so many blocks pool that the last map is as large. Beyond the paper, a
linear rule on the image's own features may stand beside (`linear_path`); logits and maps of both are summed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.medetection.network.linear_path import LinearPath
from blemish.methods.medetection.network.stems import new_stem
from blemish.methods.medetection.settings import MAP_STRIDE, MedetectionSettings
from blemish.nn.coordinate_attention import CoordinateAttention
from blemish.nn.norms import new_norm

BLOCKS = 4
PYRAMID = (4, 2, 1)  # bins along each side
BINS = sum(side * side for side in PYRAMID)


class DifferenceNetwork(nn.Module):
    """Pairs of a reference and an image to a verdict and a map of where the defect is.

    `linear` is the linear path, None without; `body` and `logits` leave it out, as it is fitted apart.
    Methods that training calls (`embed`, `body`, `logits`) take `num_support`, the number of leading pairs
    that batch norms take their statistics from (see `nn.norms`); inference leaves it out.
    origin: a line on where the stem's weights are from
    """

    def __init__(self, settings: MedetectionSettings) -> None:
        super().__init__()
        self.siamese = settings.siamese
        self.resized = settings.resize_difference
        self.stem, self.origin = new_stem(settings)
        pooling = pooling_blocks(1 if self.resized else self.stem.stride)
        ins = (self.stem.channels, *[settings.widths] * (BLOCKS - 1))
        self.blocks = nn.ModuleList(
            Block(channels, settings, pools=number >= BLOCKS - pooling, attends=attends(settings, number))
            for number, channels in enumerate(ins)
        )
        self.head = nn.Linear(BINS * settings.widths, 2)
        self.linear = new_linear_path(settings, self.stem.channels, self.stem.stride)
        if settings.reset_head:  # what an episode starts from is what fine-tuning starts from
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, pairs: Tensor) -> Tensor:
        """Logit and Grad-CAM map of each pair.

        pairs: [B, 6, s, s] in [0, 1], the reference's channels first; or [B, 3·R + 3, s, s], an image behind
            R references, which passes the stem but once
        returns: [B·R, 1 + h·w] in fp32: the logit of "defective" less that of "normal", then the Grad-CAM map
            of that difference with the linear path's evidence, not negative, h = w = s / 16
        """
        reference_features, image_features = self.embed_pairs(pairs)
        last = self.last_map(self.difference(reference_features, image_features))
        return self.with_map(self.decide(last), last, image_features)

    def with_map(self, logits: Tensor, last: Tensor, image_features: Tensor) -> Tensor:
        """Output of `forward` from logits [B·R, 2], the last map and the image's features, [·, C, h, w]."""
        heat = self.cam(last)
        if self.linear is not None:
            evidence = self.linear.evidence(image_features)
            heat = heat + F.avg_pool2d(evidence[:, None], MAP_STRIDE // self.stem.stride)[:, 0]
        odds = self.log_odds(logits, image_features)
        return torch.cat([odds[:, None], heat.relu().flatten(1)], 1)

    def log_odds(self, logits: Tensor, image_features: Tensor) -> Tensor:
        """Logit of "defective" less that of "normal", of both paths. returns: [B·R]

        logits: [B·R, 2], of the head; image_features: [B·R, C, h, w], or one image's
        """
        odds = logits[:, 1] - logits[:, 0]
        return odds if self.linear is None else odds + self.linear(image_features)

    def logits(self, pairs: Tensor, num_support: int | None = None) -> Tensor:
        """Logits of "normal" and "defective". pairs: [B, 6, s, s] in [0, 1]; returns: [B, 2]"""
        return self.body(*self.embed_pairs(pairs, num_support), num_support)

    def embed_pairs(self, pairs: Tensor, num_support: int | None = None) -> tuple[Tensor, Tensor]:
        """Stem features of references and images, [B·R, C, h, w] each, in one run of the stem.

        Each image follows its references along the batch, so that the leading pairs are leading images, too.
        pairs: see `forward`
        """
        if not self.siamese:
            features = self.embed(pairs[:, -3:], num_support).repeat_interleave(pairs.shape[1] // 3 - 1, 0)
            return features, features
        together = pairs.shape[1] // 3
        images = pairs.reshape(-1, 3, *pairs.shape[2:])
        features = self.embed(images, None if num_support is None else together * num_support)
        features = features.reshape(-1, together, *features.shape[1:])
        references, own = features[:, :-1], features[:, -1:]
        return references.flatten(0, 1), own.expand_as(references).flatten(0, 1)

    def embed(self, images: Tensor, num_support: int | None = None) -> Tensor:
        """Stem features. images: [B, 3, s, s] in [0, 1]; returns: [B, C, h, w]"""
        features: Tensor = self.stem(images, num_support)
        return features

    def body(
        self, reference_features: Tensor, image_features: Tensor, num_support: int | None = None
    ) -> Tensor:
        """Logits [B, 2] from stem features, [B, C, h, w] each."""
        return self.decide(self.last_map(self.difference(reference_features, image_features), num_support))

    def difference(self, reference_features: Tensor, image_features: Tensor) -> Tensor:
        """Eq. 1, or without Siamese stem the image's features as they are. [B, C, h, w]"""
        return (reference_features - image_features).abs() if self.siamese else image_features

    def last_map(self, difference: Tensor, num_support: int | None = None) -> Tensor:
        """4Conv. difference: [B, C, h, w]; returns: [B, C, s / 16, s / 16]"""
        if self.resized:
            difference = F.interpolate(difference, scale_factor=self.stem.stride, mode="nearest")
        for block in self.blocks:
            difference = block(difference, num_support)
        return difference

    def decide(self, last: Tensor) -> Tensor:
        """Logits [B, 2] from the last map, at least in fp32."""
        with torch.autocast(last.device.type, enabled=False):
            found: Tensor = self.head(self.pooled(last))
        return found

    def pooled(self, last: Tensor) -> Tensor:
        """Spatial pyramid pooling. last: [B, C, h, w]; returns: [B, 21·C], a pyramid's level after the other,
        channel by channel in each
        """
        exact = last.to(torch.promote_types(last.dtype, torch.float32))
        return torch.cat([bin_maxima(exact, side).flatten(1) for side in PYRAMID], 1)

    def cam(self, last: Tensor) -> Tensor:
        """Grad-CAM of the head's logit of "defective" less that of "normal", before its ReLU.

        last: [B, C, h, w]; returns: [B, h, w]
        """
        channels, height, width = last.shape[1:]
        levels = torch.split(self.head.weight[1] - self.head.weight[0], [channels * n * n for n in PYRAMID])
        bins = torch.cat([level.view(channels, -1) for level in levels], 1)  # [C, 21]
        weights = bins.sum(1) / (height * width)
        return torch.einsum("bchw,c->bhw", last.to(weights.dtype), weights)


def new_linear_path(settings: MedetectionSettings, channels: int, stride: int) -> LinearPath | None:
    """Linear path that the settings ask for, None for none. channels, stride: of the stem's map"""
    if settings.linear_path == "none" or settings.stem_learns:
        return None
    return LinearPath(channels, settings.size // stride, deviations=settings.linear_path == "deviations")


def bin_maxima(features: Tensor, bins: int) -> Tensor:
    """Adaptive max pooling, [B, C, h, w] to [B, C, bins, bins].

    In an exported graph by slices, which overlap where a side is no multiple of the bins: for those ONNX has
    no operator.
    """
    if not torch.compiler.is_exporting():
        return F.adaptive_max_pool2d(features, bins)
    for axis in (2, 3):
        side = features.shape[axis]
        ends = [(number * side // bins, -(-(number + 1) * side // bins)) for number in range(bins)]
        parts = [features.narrow(axis, start, stop - start).amax(axis) for start, stop in ends]
        features = torch.stack(parts, axis)
    return features


class Block(nn.Module):
    """3×3 convolution, ReLU, norm, and optionally a max pool and coordinate attention."""

    def __init__(self, channels: int, settings: MedetectionSettings, *, pools: bool, attends: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, settings.widths, 3, padding=1)
        self.norm = new_norm(settings.norm, settings.widths)
        self.pool = nn.MaxPool2d(2) if pools else nn.Identity()
        self.attention = None
        if attends:
            self.attention = CoordinateAttention(
                settings.widths,
                norm=settings.norm,
                reduction=settings.attention_reduction,
                min_channels=settings.attention_min_channels,
            )

    def forward(self, features: Tensor, num_support: int | None = None) -> Tensor:
        """Features [B, C, h, w], or of half the sides where the block pools. features: [B, C, h, w]"""
        features = self.pool(self.norm(self.conv(features).relu(), num_support))
        return features if self.attention is None else self.attention(features, num_support)


def attends(settings: MedetectionSettings, number: int) -> bool:
    """True where attention follows the block of that number, from 0."""
    low, high = (settings.attention in (place, "both") for place in ("low", "high"))
    return (low and number == 0) or (high and number == BLOCKS - 1)


def pooling_blocks(stride: int) -> int:
    """Number of blocks, counted from the last, that pool a map of that stride down to the last map's."""
    return (MAP_STRIDE // stride).bit_length() - 1
