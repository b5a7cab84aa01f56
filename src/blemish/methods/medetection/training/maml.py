"""Both loops of MAML on a product: adapt to its support, be judged on its query.

Source: Zhang et al. 2023, Algorithm 1, eqs. 3-5; Finn, Abbeel & Levine 2017. Letters: B pairs, C channels.
The inner steps change the linear head (the authors' code; ANIL, Raghu et al. 2019) or every weight that
learns (the paper's text). A norm sees the support's statistics alone, so that the answer for a query image
depends on no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.settings import MedetectionSettings

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class ImagePairs:
    """Pairs of references and images of a product; a slice is taken along the batch.

    references, images: [B, 3, s, s] in [0, 1], or a frozen stem's features of them, [B, C, h, w]
    labels: [B] int64, 1 for defective
    """

    references: Tensor
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice) -> ImagePairs:
        return ImagePairs(self.references[rows], self.images[rows], self.labels[rows])

    def followed_by(self, others: ImagePairs) -> ImagePairs:
        """These pairs with the others behind them."""
        return ImagePairs(
            torch.cat([self.references, others.references]),
            torch.cat([self.images, others.images]),
            torch.cat([self.labels, others.labels]),
        )


def episode_loss(
    network: DifferenceNetwork, support: ImagePairs, query: ImagePairs, settings: MedetectionSettings
) -> Tensor:
    """Cross-entropy on the query after the inner steps on the support, differentiable in the weights.

    With `order: first` the inner gradient counts as a constant.
    """
    return F.cross_entropy(query_logits(network, support, query, settings), query.labels)


def query_logits(
    network: DifferenceNetwork, support: ImagePairs, query: ImagePairs, settings: MedetectionSettings
) -> Tensor:
    """Logits [B, 2] of the query pairs after the inner steps on the support."""
    if settings.adapt == "head":
        return logits_of_adapted_head(network, support, query, settings)
    return logits_of_all_adapted(network, support, query, settings)


def adapted(
    logits: Callable[[Parameters], Tensor],
    labels: Tensor,
    parameters: Parameters,
    settings: MedetectionSettings,
) -> Parameters:
    """Take the inner steps of eq. 4; returns new parameters of the same names.

    logits: parameters to logits of the support, [B, 2]
    """
    second = settings.order == "second"
    for _ in range(settings.inner_steps):
        loss = F.cross_entropy(logits(parameters), labels)
        gradients = torch.autograd.grad(loss, list(parameters.values()), create_graph=second)
        parameters = {
            name: parameter - settings.inner_rate * gradient
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
        }
    return parameters


def logits_of_adapted_head(
    network: DifferenceNetwork, support: ImagePairs, query: ImagePairs, settings: MedetectionSettings
) -> Tensor:
    """Logits [B, 2] of the query after inner steps of the head alone; both parts pass the network once."""
    last = last_maps(network, support.followed_by(query), len(support), settings)
    with torch.autocast(last.device.type, enabled=False):
        pooled = network.pooled(last)
        support_features, query_features = pooled[: len(support)], pooled[len(support) :]

        def logits(parameters: Parameters, of: Tensor) -> Tensor:
            found: Tensor = functional_call(network.head, dict(parameters), (of,))
            return found

        start = starting(network.head, settings, head="")
        head = adapted(lambda tried: logits(tried, support_features), support.labels, start, settings)
        return logits(head, query_features)


def logits_of_all_adapted(
    network: DifferenceNetwork, support: ImagePairs, query: ImagePairs, settings: MedetectionSettings
) -> Tensor:
    """Logits [B, 2] of the query after inner steps of all weights, each of which passes the support anew.

    Batch norms see the support once more beside the query, for its statistics under the adapted weights.
    """
    called = PairNetwork(network, settings)

    def logits(parameters: Parameters, pairs: ImagePairs) -> Tensor:
        found: Tensor = functional_call(called, dict(parameters), (pairs, len(support)))
        return found

    start = starting(called, settings, head="network.head.")
    after = adapted(lambda tried: logits(tried, support), support.labels, start, settings)
    if settings.norm == "group":
        return logits(after, query)
    return logits(after, support.followed_by(query))[len(support) :]


class PairNetwork(nn.Module):
    """Network as a function of an episode's pairs, for `functional_call`."""

    def __init__(self, network: DifferenceNetwork, settings: MedetectionSettings) -> None:
        super().__init__()
        self.network, self.settings = network, settings

    def forward(self, pairs: ImagePairs, num_support: int) -> Tensor:
        """Logits [B, 2]. num_support: see `nn.norms`"""
        return self.network.decide(last_maps(self.network, pairs, num_support, self.settings))


def last_maps(
    network: DifferenceNetwork, pairs: ImagePairs, num_support: int, settings: MedetectionSettings
) -> Tensor:
    """Last map of each pair, [B, C, h, w], from images or from a frozen stem's features."""
    features = pairs.references, pairs.images
    if settings.stem_learns:
        features = network.embed_pairs(torch.cat(features, 1), num_support)
    return network.last_map(network.difference(*features), num_support)


def starting(module: nn.Module, settings: MedetectionSettings, *, head: str) -> Parameters:
    """Parameters that an episode adapts: those that learn, with the head's at zero where it is reset.

    head: prefix of the names of the head's parameters
    """
    learning = {name: tensor for name, tensor in module.named_parameters() if tensor.requires_grad}
    if not settings.reset_head:
        return learning
    return {
        name: torch.zeros_like(tensor, requires_grad=True) if name.startswith(head) else tensor
        for name, tensor in learning.items()
    }
