"""Head that tells defective images from clean ones as a whole, on a frozen network trained on ImageNet.

Pooled maps of EfficientNet-Lite0 and a logistic regression: seconds of training, and image labels suffice.
Letters: B batch, C channels, S side, D features, n images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from blemish.nn.efficientnet_lite import LiteScale, efficientnet_lite_stages

POOLED = ("stage2", "stage3", "stage4")  # strides 4 to 16: edges, textures and parts of things
SHRINKAGES = (1e-3, 1e-2, 1e-1, 1.0)  # of the weights, the smallest first
ITERATIONS = 60


class ImageFeatures(nn.Module):
    """Mean, standard deviation and greatest value of each channel of the encoder's maps. Never learns.

    They are averaged over the image and the same turned by 180°, so that less of them hangs on where its
    pixels lie under the strides.
    weights: see `efficientnet_lite_stages`
    Raises UnavailableError where the weights are not installed.
    """

    def __init__(self, weights: str) -> None:
        super().__init__()
        stages, _ = efficientnet_lite_stages(weights, deepest=POOLED[-1], setting="image_score")
        self.scale, self.stages = LiteScale(), stages
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, D]. images: [B, 1 or 3, S, S] in [0, 1], S a multiple of 16"""
        return (self.pooled(images) + self.pooled(images.flip(2, 3))) / 2

    def pooled(self, images: Tensor) -> Tensor:
        """Features [B, D] of images as they are."""
        features = self.scale(images.expand(-1, 3, -1, -1))
        pooled = []
        for name, stage in self.stages.items():
            features = stage(features)
            if name in POOLED:
                mean = features.mean((2, 3), keepdim=True)
                spread = (features - mean).square().mean((2, 3)).sqrt()
                pooled += [mean.flatten(1), spread, features.amax((2, 3))]
        return torch.cat(pooled, dim=1)


class ImageHead(nn.Module):
    """Log odds that an image is defective, by its features."""

    def __init__(self, features: ImageFeatures, num_features: int) -> None:
        super().__init__()
        self.features = features
        self.output = nn.Linear(num_features, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Log odds [B, 1]. images: as of `ImageFeatures`"""
        odds: Tensor = self.output(self.features(images))
        return odds


def new_image_head(weights: str = "none") -> ImageHead:
    """Build the head, by default for the tensors of a bundle. Raises as `ImageFeatures` does."""
    features = ImageFeatures(weights)
    with torch.no_grad():
        number = features(torch.zeros(1, 3, 32, 32)).shape[1]
    return ImageHead(features, number)


def fit_image_head(
    head: ImageHead,
    features: NDArray[np.float32],
    defective: Sequence[bool] | NDArray[np.bool_],
    *,
    folds: NDArray[np.intp],
) -> None:
    """Fit the output of a head to images, both kinds counting alike as a whole.

    Logistic regression on standardised features; how strongly weights are drawn to 0 is chosen by
    cross-validation on the log loss.
    features: [n, D]; defective: [n]; folds: [n] numbers of the folds, each with both kinds of image
    """
    inputs, truth = (
        torch.from_numpy(features).double(),
        torch.tensor(np.asarray(defective), dtype=torch.float64),
    )
    center, spread = inputs.mean(dim=0), inputs.std(dim=0).clamp_min(1e-6)
    inputs = (inputs - center) / spread
    fold = torch.from_numpy(folds)

    def held_out_loss(shrinkage: float) -> float:
        losses = []
        for number in np.unique(folds):
            out = fold == number
            weights = fitted_weights(inputs[~out], truth[~out], shrinkage)
            losses.append(balanced_loss(with_bias(inputs[out]) @ weights, truth[out]))
        return float(torch.stack(losses).mean())

    weights = fitted_weights(inputs, truth, min(SHRINKAGES, key=held_out_loss))
    with torch.no_grad():
        scaled = weights[:-1] / spread
        head.output.weight.copy_(scaled[None])
        head.output.bias.copy_((weights[-1] - scaled @ center)[None])


def fitted_weights(inputs: Tensor, truth: Tensor, shrinkage: float) -> Tensor:
    """Weights and bias [D + 1] of least loss. inputs: [n, D], standardised; truth: [n], 0 or 1"""
    weights = torch.zeros(inputs.shape[1] + 1, dtype=inputs.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")
    extended = with_bias(inputs)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = balanced_loss(extended @ weights, truth) + shrinkage / 2 * weights[:-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()


def with_bias(inputs: Tensor) -> Tensor:
    """Inputs [n, D] with a column of ones behind them."""
    return torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)


def balanced_loss(log_odds: Tensor, truth: Tensor) -> Tensor:
    """Mean of both kinds' mean log losses. log_odds, truth: [n]"""
    losses = functional.binary_cross_entropy_with_logits(log_odds, truth, reduction="none")
    return (losses[truth == 1].mean() + losses[truth == 0].mean()) / 2
