"""Distance metric M: a region's class probabilities from its distances to prototypes, or from a linear layer.

Source: TL-SDD, section III-A-3, eqs. 2, 3 and 5. Letters: R regions, K classes, D embedding, S supports, h
length of the hidden vector; the background is the last of K + 1. All in fp32: bf16 distances are coarse.
Deviations: unit vectors and a learned scale, without which the softmax is one-hot at once (`normalize`); a
background, which eq. 3 lacks (`background`); offsets of the prototypes and biases, which make the head as
able as a linear one (`prototype_offsets`); hidden vectors less their mean (`centred`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.tlsdd.network.reweighting import class_means
from blemish.methods.tlsdd.network.running_means import k_means, update_mean
from blemish.methods.tlsdd.settings import TlsddSettings

SCALE_RANGE = (1.0, 50.0)
MIN_DISTANCE = 1e-6  # keeps log(1 − exp(−d)) finite on a prototype


class Embedding(nn.Module):
    """Last layer of f: hidden vectors, less their running mean if `centred`, to the metric space."""

    mean: Tensor
    observed: Tensor

    def __init__(self, settings: TlsddSettings) -> None:
        super().__init__()
        self.linear = nn.Linear(settings.hidden, settings.embedding)
        self.normalize, self.centred = settings.normalize, settings.centred
        if settings.centred:
            self.register_buffer("mean", torch.zeros(settings.hidden))
            self.register_buffer("observed", torch.zeros(()))

    def forward(self, hidden: Tensor) -> Tensor:
        """Embeddings [..., D] in fp32, of unit norm where settings.normalize. hidden: [..., h]"""
        with torch.autocast(hidden.device.type, enabled=False):
            inputs = hidden.float() - self.mean if self.centred else hidden.float()
            embeddings: Tensor = self.linear(inputs)
        return F.normalize(embeddings, dim=-1) if self.normalize else embeddings

    @torch.no_grad()
    def observe(self, hidden: Tensor) -> None:
        """Move the running mean, if there is one, towards that of a batch's hidden vectors [N, h]."""
        if self.centred:
            update_mean(self.mean, self.observed, hidden)


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

    Literal eq. 3 (`normalize` off) has no scale. With `prototype_offsets` a class's logit has a bias, and so
    has the background's; offsets and biases are 0, and learn nothing before `learn_offsets`.
    """

    points: Tensor
    observed: Tensor
    started: Tensor

    def __init__(self, settings: TlsddSettings, classes: int) -> None:
        super().__init__()
        self.normalize, self.background = settings.normalize, settings.background
        self.by_branch, self.log_scale = settings.logits == "branch", settings.log_scale
        if settings.normalize:
            first = math.log(settings.initial_scale) if self.log_scale else settings.initial_scale
            self.raw_scale = nn.Parameter(torch.tensor(first))
        count = settings.backgrounds if settings.background == "several" else 1
        points = torch.randn(count, settings.embedding) / math.sqrt(settings.embedding)
        if settings.background in ("learned", "several"):
            self.points = nn.Parameter(points)
            if settings.background_init == "k-means":
                self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        elif settings.background == "rpn_negatives":
            self.register_buffer("points", points)
            self.register_buffer("observed", torch.zeros(()))
        self.has_offsets = settings.prototype_offsets
        if self.has_offsets:
            self.offsets = nn.Parameter(torch.zeros(classes, settings.embedding), requires_grad=False)
            self.biases = nn.Parameter(torch.zeros(classes), requires_grad=False)
            self.background_bias = nn.Parameter(torch.zeros(()), requires_grad=False)

    def learn_offsets(self) -> None:
        """Let offsets and biases learn from now on, where there are any."""
        if self.has_offsets:
            for parameter in (self.offsets, self.biases, self.background_bias):
                parameter.requires_grad_(True)

    def moved(self, prototypes: Tensor) -> tuple[Tensor, Tensor | None]:
        """Prototypes [K, D] moved by their offsets, of unit norm if `normalize`, and biases [K], if any."""
        if not self.has_offsets:
            return prototypes, None
        moved = prototypes + self.offsets
        return (F.normalize(moved, dim=-1) if self.normalize else moved), self.biases

    def forward(
        self,
        per_class: Tensor,
        shared: Tensor,
        prototypes: Tensor,
        known: Tensor,
        biases: Tensor | None = None,
    ) -> Tensor:
        """Log-probabilities of the K classes and of background.

        per_class: [R, K, D], region ⊗ w_k for each k; or [R, 1, D], the same for all
        shared: [R, D], of the region as it is, for the background
        prototypes: [K, D], moved by their offsets; known: [K] bool; biases: [K], None for none
        returns: [R, K + 1] fp32, exp of a row sums to 1; −inf for an unknown class
        """
        if self.by_branch:
            return merge_branches(self.branches(per_class, shared, prototypes, known, biases), known)
        scale = self.scale()
        logits = -scale * squared_distances(per_class, prototypes)
        if biases is not None:
            logits = logits + biases
        return with_background(logits, self.background_logit(shared, scale), known)

    def branches(
        self,
        per_class: Tensor,
        shared: Tensor,
        prototypes: Tensor,
        known: Tensor,
        biases: Tensor | None = None,
    ) -> Tensor:
        """Log-probabilities [R, K, K + 1], one softmax per branch, for `branch_loss`; arguments as `forward`.

        Branch k compares the region under class k's weights with every prototype (Meta R-CNN's reading).
        """
        scale = self.scale()
        logits = -scale * squared_distances(per_class[:, :, None], prototypes)
        if biases is not None:
            logits = logits + biases
        logits = logits.expand(-1, len(prototypes), -1)
        background = self.background_logit(shared, scale)
        return with_background(logits, None if background is None else background[:, None], known)

    def background_logit(self, shared: Tensor, scale: Tensor | float) -> Tensor | None:
        """Logit of the background, [R]; None where the background is what no class claims. shared: [R, D]"""
        if self.background == "one_minus_max":
            return None
        points = F.normalize(self.points, dim=-1) if self.normalize else self.points
        logit = torch.logsumexp(-scale * squared_distances(shared[:, None], points), -1)
        return logit + self.background_bias if self.has_offsets else logit

    def scale(self) -> Tensor | float:
        """Learned scale, held in [1, 50], or 1. Call it once per use, so that its gradient is whole."""
        if not self.normalize:
            return 1.0
        raw = self.raw_scale.exp() if self.log_scale else self.raw_scale
        scale: Tensor = Clamped.apply(raw, *SCALE_RANGE)
        return scale

    @property
    def starts(self) -> bool:
        """True until background points have their start, where `background_init` is "k-means"."""
        return hasattr(self, "started") and not bool(self.started)

    @torch.no_grad()
    def start_background(self, shared: Tensor) -> None:
        """Put the background points at the centres of embeddings [N, D] of background regions."""
        if len(shared):
            self.points.copy_(k_means(shared.float(), len(self.points)))
            self.started.fill_(True)

    @torch.no_grad()
    def observe_background(self, shared: Tensor) -> None:
        """Move the mean of background regions, which `background: rpn_negatives` compares with.

        shared: [N, D], of background regions alone
        """
        update_mean(self.points, self.observed, shared)


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


def averaged_with_linear(
    logarithms: Tensor, linear: LinearScores, per_class: Tensor, shared: Tensor, known: Tensor
) -> Tensor:
    """Log-probabilities [R, K + 1] of which those of background and of the linear head's classes are means.

    logarithms: of the distances, [R, K + 1]; the other arguments as of `LinearScores.forward`
    The linear head's classes are the first; K may be less or more, as where classes were added.
    """
    rows = torch.cat([linear.linear.weight, linear.linear.bias[:, None]], 1)[:-1]
    numbers = torch.arange(len(known), device=known.device)
    has_row = numbers < len(rows)
    extended = torch.cat([per_class.float(), torch.ones_like(per_class[..., :1])], -1)
    logits = (extended * rows[numbers.clamp(max=len(rows) - 1)]).sum(-1)
    own = with_background(logits, linear.background_logit(shared), known & has_row)
    mean = torch.logaddexp(logarithms, own) - math.log(2)
    return torch.where(torch.cat([has_row, torch.ones_like(has_row[:1])]), mean, logarithms)


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
