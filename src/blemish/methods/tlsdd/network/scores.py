"""Distance metric M: a region's class probabilities from its distances to prototypes, or from a linear layer.

Source: TL-SDD, section III-A-3, eqs. 2, 3 and 5. Letters: R regions, K classes, D embedding, S supports, h
length of the hidden vector; the background is the last of K + 1. All in fp32: bf16 distances are coarse.
Deviations: unit vectors and a learned scale, without which the softmax is one-hot at once (`normalize`); a
background, which eq. 3 lacks (`background`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.tlsdd.network.reweighting import class_means
from blemish.methods.tlsdd.settings import TlsddSettings

SCALE_RANGE = (1.0, 50.0)
MOMENTUM = 0.99  # of the mean of background regions
MIN_DISTANCE = 1e-6  # keeps log(1 − exp(−d)) finite on a prototype


class Embedding(nn.Module):
    """Last layer of f: hidden vectors to the metric space."""

    def __init__(self, settings: TlsddSettings) -> None:
        super().__init__()
        self.linear = nn.Linear(settings.hidden, settings.embedding)
        self.normalize = settings.normalize

    def forward(self, hidden: Tensor) -> Tensor:
        """Embeddings [..., D] in fp32, of unit norm where settings.normalize. hidden: [..., h]"""
        with torch.autocast(hidden.device.type, enabled=False):
            embeddings: Tensor = self.linear(hidden.float())
        return F.normalize(embeddings, dim=-1) if self.normalize else embeddings


def squared_distances(embeddings: Tensor, prototypes: Tensor) -> Tensor:
    """Squared Euclidean distance of each region to each class's prototype, in fp32.

    embeddings: [..., K, D], one per class, or [..., 1, D], the same for all
    prototypes: [K, D]
    returns:    [..., K], in [0, 4] on unit vectors
    Source: eq. 3. By differences: the product form loses what is small beside the norms.
    """
    return (embeddings.float() - prototypes.float()).square().sum(-1)


def prototypes(embeddings: Tensor, labels: Tensor, classes: int, *, normalize: bool) -> tuple[Tensor, Tensor]:
    """Prototype c_i of each class, eq. 2: the mean of its supports' embeddings, of unit norm if `normalize`.

    embeddings: [S, D]; labels: [S] in [0, classes)
    returns: prototypes [K, D], known [K]; a class without supports has zeros and False
    """
    means, known = class_means(embeddings, labels, classes)
    return (F.normalize(means, dim=-1) if normalize else means), known


class MetricScores(nn.Module):
    """Softmax over −scale · d² to the prototypes and to what stands for the background.

    Literal eq. 3 (`normalize` off) has no scale.
    """

    points: Tensor
    observed: Tensor

    def __init__(self, settings: TlsddSettings) -> None:
        super().__init__()
        self.normalize, self.background = settings.normalize, settings.background
        self.by_branch = settings.logits == "branch"
        if settings.normalize:
            self.raw_scale = nn.Parameter(torch.tensor(settings.initial_scale))
        count = settings.backgrounds if settings.background == "several" else 1
        points = torch.randn(count, settings.embedding) / math.sqrt(settings.embedding)
        if settings.background in ("learned", "several"):
            self.points = nn.Parameter(points)
        elif settings.background == "rpn_negatives":
            self.register_buffer("points", points)
            self.register_buffer("observed", torch.zeros(()))

    def forward(self, per_class: Tensor, shared: Tensor, prototypes: Tensor, known: Tensor) -> Tensor:
        """Log-probabilities of the K classes and of background.

        per_class: [R, K, D], region ⊗ w_k for each k; or [R, 1, D], the same for all
        shared: [R, D], of the region as it is, for the background
        prototypes: [K, D]; known: [K] bool
        returns: [R, K + 1] fp32, exp of a row sums to 1; −inf for an unknown class
        """
        if self.by_branch:
            return merge_branches(self.branches(per_class, shared, prototypes, known), known)
        scale = self.scale()
        logits = -scale * squared_distances(per_class, prototypes)
        return with_background(logits, self.background_logit(shared, scale), known)

    def branches(self, per_class: Tensor, shared: Tensor, prototypes: Tensor, known: Tensor) -> Tensor:
        """Log-probabilities [R, K, K + 1], one softmax per branch, for `branch_loss`; arguments as `forward`.

        Branch k compares the region under class k's weights with every prototype (Meta R-CNN's reading).
        """
        scale = self.scale()
        logits = -scale * squared_distances(per_class[:, :, None], prototypes)
        logits = logits.expand(-1, len(prototypes), -1)
        background = self.background_logit(shared, scale)
        return with_background(logits, None if background is None else background[:, None], known)

    def background_logit(self, shared: Tensor, scale: Tensor | float) -> Tensor | None:
        """Logit of the background, [R]; None where the background is what no class claims. shared: [R, D]"""
        if self.background == "one_minus_max":
            return None
        points = F.normalize(self.points, dim=-1) if self.normalize else self.points
        return torch.logsumexp(-scale * squared_distances(shared[:, None], points), -1)

    def scale(self) -> Tensor | float:
        """Learned scale, held in [1, 50], or 1. Call it once per use, so that its gradient is whole."""
        if not self.normalize:
            return 1.0
        scale: Tensor = Clamped.apply(self.raw_scale, *SCALE_RANGE)
        return scale

    @torch.no_grad()
    def observe_background(self, shared: Tensor) -> None:
        """Move the mean of background regions, which `background: rpn_negatives` compares with.

        shared: [N, D], of background regions alone
        A plain mean over the first hundred calls, then a moving one.
        """
        if not len(shared):
            return
        self.observed += 1
        share = (1 / self.observed).clamp(min=1 - MOMENTUM)
        self.points.lerp_(shared.float().mean(0, keepdim=True), share)


class LinearScores(nn.Module):
    """Linear classifier of the baselines: a row of weights for each class and one for the background."""

    def __init__(self, settings: TlsddSettings, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(settings.hidden, classes + 1)
        self.by_branch = settings.logits == "branch"
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, per_class: Tensor, shared: Tensor, known: Tensor) -> Tensor:
        """Log-probabilities of the K classes and of background.

        per_class: [R, K, h], region ⊗ w_k for each k; or [R, 1, h], the same for all
        shared: [R, h], of the region as it is, for the background
        known: [K] bool, classes that take part
        returns: [R, K + 1] fp32, exp of a row sums to 1; −inf for a class that takes no part
        """
        if self.by_branch:
            return merge_branches(self.branches(per_class, shared, known), known)
        weight, bias = self.linear.weight, self.linear.bias
        logits = (per_class.float() * weight[:-1]).sum(-1) + bias[:-1]
        return with_background(logits, self.background_logit(shared), known)

    def branches(self, per_class: Tensor, shared: Tensor, known: Tensor) -> Tensor:
        """Log-probabilities [R, K, K + 1], one softmax per branch; arguments as `forward`."""
        with torch.autocast(per_class.device.type, enabled=False):
            logits = self.linear(per_class.float())[..., :-1].expand(-1, len(known), -1)
        return with_background(logits, self.background_logit(shared)[:, None], known)

    def background_logit(self, shared: Tensor) -> Tensor:
        """Logit of the background, [R]. shared: [R, h]"""
        return (shared.float() * self.linear.weight[-1]).sum(-1) + self.linear.bias[-1]


def classification_loss(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """Mean of −log P(y), eq. 5, over the regions that have a label.

    log_probabilities: [R, K + 1]; labels: [R], K is background, a negative one is left out
    """
    taken = labels >= 0
    losses = -log_probabilities.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    return torch.where(taken, losses, 0).sum() / taken.sum().clamp(min=1)


def branch_loss(branches: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Mean of −log P(y) over the branches of all known classes and the regions that have a label.

    branches: [R, K, K + 1] log-probabilities; labels: [R], as in `classification_loss`; known: [K] bool
    """
    taken = branches[:, known]
    return classification_loss(taken.flatten(0, 1), labels.repeat_interleave(taken.shape[1]))


def with_background(logits: Tensor, background: Tensor | None, known: Tensor) -> Tensor:
    """Softmax over the known classes and the background.

    logits: [..., K]; known: [K]; returns: [..., K + 1]
    background: its logit, broadcasts to [...]; None: log(1 − max exp(logit)), the logits being ≤ 0 (RepMet,
        Karlinsky et al. 2019)
    """
    logits = logits.masked_fill(~known, -math.inf)
    if background is None:
        background = torch.log(-torch.expm1(logits.amax(-1).clamp(max=-MIN_DISTANCE)))
    background = background.expand(logits.shape[:-1])
    return torch.cat([logits, background[..., None]], -1).log_softmax(-1)


def merge_branches(branches: Tensor, known: Tensor) -> Tensor:
    """Distribution over classes, each as its own branch sees it, and background, as known ones do on average.

    branches: [R, K, K + 1] log-probabilities; known: [K]; returns: [R, K + 1]
    """
    own = branches.diagonal(dim1=1, dim2=2)
    counted = known | ~known.any()
    silent = branches[..., -1].masked_fill(~counted, -math.inf)
    background = torch.logsumexp(silent, 1) - counted.sum().log()
    return torch.cat([own, background[:, None]], 1).log_softmax(1)


class Clamped(torch.autograd.Function):
    """Clamp whose gradient is cut only where descent would lead further out: a value outside comes back."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(value)
        ctx.range = (low, high)
        return value.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (value,), (low, high), (gradient,) = ctx.saved_tensors, ctx.range, gradients
        outward = ((value <= low) & (gradient > 0)) | ((value >= high) & (gradient < 0))
        return gradient.masked_fill(outward, 0), None, None
