"""A linear rule on a frozen stem's features of an image, beside the paper's head: the method holds a probe.

The logit is linear in the mean and the maximum of each channel over the image's own map, and over its
deviations: how far each place lies from what it is in normal images, in units of what these differ by. It is
fitted by logistic regression on every training image, so that it needs no steps and no validation. Its share
of the logit can be told for each place, as in class activation maps.
Sources, beyond Zhang et al. 2023: Alain & Bengio 2016, "Understanding intermediate layers using linear
classifier probes"; Defard et al. 2021, "PaDiM" (normal features at each place, here with a diagonal
covariance); Zhou et al. 2016, "Learning deep features for discriminative localization" (the map).
Letters: B images, C channels of the stem, h, w sides of its map, N training images, E channels described.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LBFGS_STEPS = 200
SMALLEST_DEVIATION = 1e-6  # of a statistic that tells images apart
LEAST_SPREAD = (
    0.5  # of a place, as a share of the channel's mean over places, where normal images hardly differ
)


@dataclass(frozen=True)
class NormalMaps:
    """Mean and variance of the features of `count` normal images at each place, [C, h, w] each."""

    count: int
    mean: Tensor
    variance: Tensor

    def spread(self, variance: Tensor) -> Tensor:
        """Unit of deviations: the standard deviation, and a share of the channel's over all places."""
        least = LEAST_SPREAD * self.variance.sqrt().mean((1, 2), keepdim=True)
        return variance.sqrt() + least.clamp(min=SMALLEST_DEVIATION)

    def deviations_of_members(self, features: Tensor) -> Tensor:
        """Deviation of each of these images from all others of them. [B, C, h, w] → [B, C, h, w]"""
        if self.count == 1:
            return torch.zeros_like(features)
        others = self.count - 1
        apart = (features - self.mean).abs()
        variance = self.count / others * (self.variance - apart.square() / others)
        return self.count / others * apart / self.spread(variance.clamp(min=0))


def normal_maps(batches: Iterable[Tensor]) -> NormalMaps:
    """Mean and variance of features, [·, C, h, w] each; there is at least one image."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for features in batches:
        exact = features.double()
        count += len(exact)
        total = total + exact.sum(0)
        squares = squares + exact.square().sum(0)
    mean = total / count
    return NormalMaps(count, mean.float(), (squares / count - mean.square()).clamp(min=0).float())


class LinearPath(nn.Module):
    """Linear rule on pooled features; says 0 of every image until it is fitted.

    usual, spread: [C, h, w], mean and standard deviation of normal images; none without `deviations`
    weight, centre: [2·E], of the channels' means, then of their maxima; centre: the training images' average
    """

    usual: Tensor
    spread: Tensor
    weight: Tensor
    centre: Tensor
    offset: Tensor

    def __init__(self, channels: int, side: int, *, deviations: bool) -> None:
        super().__init__()
        self.deviations = deviations
        described = 2 * channels if deviations else channels
        if deviations:
            self.register_buffer("usual", torch.zeros(channels, side, side))
            self.register_buffer("spread", torch.ones(channels, side, side))
        self.register_buffer("weight", torch.zeros(2 * described))
        self.register_buffer("centre", torch.zeros(2 * described))
        self.register_buffer("offset", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Logit of "defective" less that of "normal", in fp32. features: [B, C, h, w]; returns: [B]"""
        return ((self.statistics(features) - self.centre) * self.weight).sum(1) + self.offset

    def described(self, features: Tensor) -> Tensor:
        """Features, and behind them their deviations where these count, in fp32.

        features: [B, C, h, w]; returns: [B, E, h, w]
        """
        exact = features.float()
        if not self.deviations:
            return exact
        return torch.cat([exact, (exact - self.usual).abs() / self.spread], 1)

    def statistics(self, features: Tensor) -> Tensor:
        """Mean and maximum of each channel of `described`. [B, C, h, w] → [B, 2·E]"""
        return pooled(self.described(features))

    def statistics_of_members(self, features: Tensor, normal: NormalMaps) -> Tensor:
        """`statistics` of images that `normal` was made of, each held against the others alone. [B, 2·E]

        Else they would seem more usual than a normal image that was never seen.
        """
        exact = features.float()
        return pooled(
            torch.cat([exact, normal.deviations_of_members(exact)], 1) if self.deviations else exact
        )

    def evidence(self, features: Tensor) -> Tensor:
        """Share of each place in the logit; the shares sum up to it, less the offset.

        A channel's mean is shared out to every place, its maximum to the places that have it.
        features: [B, C, h, w]; returns: [B, h, w] in fp32
        """
        described = self.described(features)
        means, maxima = self.weight.view(2, -1, 1, 1)
        usual_mean, usual_maximum = self.centre.view(2, -1, 1, 1)
        places = described.shape[2] * described.shape[3]
        greatest = described.amax((2, 3), keepdim=True)
        has_it = (described >= greatest).float()
        of_maximum = has_it / has_it.sum((2, 3), keepdim=True) * (greatest - usual_maximum)
        return (means * (described - usual_mean) / places + maxima * of_maximum).sum(1)

    def learn_usual(self, normal: NormalMaps) -> None:
        """Set what normal images have at each place."""
        if self.deviations:
            self.usual.copy_(normal.mean)
            self.spread.copy_(normal.spread(normal.variance))

    def fit(self, found: Tensor, labels: Tensor, *, strength: float) -> None:
        """Fit the rule by L2-penalised logistic regression on statistics of unit variance.

        found: [N, 2·E] as of `statistics`; labels: [N], 1 for defective
        strength: C, how much a training image weighs against the penalty, as in scikit-learn
        """
        exact, truth = found.double(), labels.double()
        centre, deviation = exact.mean(0), exact.std(0, correction=0)
        scaled = (exact - centre) / deviation.clamp(min=SMALLEST_DEVIATION)
        # The optimum lies in the span of the images, so N weights of their Gram matrix say it all.
        gram = scaled @ scaled.T
        shares = torch.zeros(len(exact), dtype=torch.double, device=exact.device, requires_grad=True)
        offset = torch.zeros((), dtype=torch.double, device=exact.device, requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [shares, offset],
            max_iter=LBFGS_STEPS,
            tolerance_grad=1e-7,
            tolerance_change=0.0,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            optimiser.zero_grad()
            logits = gram @ shares + offset
            errors = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
            value = strength * errors + shares @ gram @ shares / 2
            torch.autograd.backward(value)
            return value

        with torch.enable_grad():
            optimiser.step(loss)  # type: ignore[no-untyped-call]
        weight = scaled.T @ shares.detach() / deviation.clamp(min=SMALLEST_DEVIATION)
        for own, value in ((self.weight, weight), (self.centre, centre), (self.offset, offset.detach())):
            own.copy_(value)


def pooled(described: Tensor) -> Tensor:
    """Mean and maximum of each channel. [B, E, h, w] → [B, 2·E]"""
    return torch.cat([described.mean((2, 3)), described.amax((2, 3))], 1)
