"""The two loops of MAML on one product: adapt to its support, be judged on its query.

Source: Zhang et al. 2023, Algorithm 1, eqs. 3-5; Finn, Abbeel & Levine 2017. Letters: B pairs, C channels.
What the inner steps change is the linear head (the authors' code; ANIL, Raghu et al. 2019) or every weight
that learns (the paper's text). A norm sees the support's statistics alone, so that what is said of one query
image depends on no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from blemish.methods.medetection.network import DifferenceNetwork
from blemish.methods.medetection.settings import Settings

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Pairs:
    """References and images of one product.

    references, images: [B, 3, s, s] in [0, 1], or where the stem does not learn its features, [B, C, h, w]
    labels: [B] int64, 1 for defective
    """

    references: Tensor
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def and_then(self, others: Pairs) -> Pairs:
        """These pairs, and the others behind them."""
        return Pairs(
            torch.cat([self.references, others.references]),
            torch.cat([self.images, others.images]),
            torch.cat([self.labels, others.labels]),
        )


def episode_loss(network: DifferenceNetwork, support: Pairs, query: Pairs, settings: Settings) -> Tensor:
    """Cross-entropy on the query after the inner steps on the support, differentiable in the weights.

    With `order: first` the inner gradient counts as a constant.
    """
    return F.cross_entropy(query_logits(network, support, query, settings), query.labels)


def query_logits(network: DifferenceNetwork, support: Pairs, query: Pairs, settings: Settings) -> Tensor:
    """Logits [B, 2] of the query pairs after the inner steps on the support."""
    if settings.adapt == "head":
        return logits_of_adapted_head(network, support, query, settings)
    return logits_of_all_adapted(network, support, query, settings)


def adapted(
    logits: Callable[[Parameters], Tensor], labels: Tensor, parameters: Parameters, settings: Settings
) -> Parameters:
    """The parameters after the inner steps, eq. 4.

    logits: of the support, [B, 2], by parameters of any names
    returns: parameters of the same names; those given stay as they are
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
    network: DifferenceNetwork, support: Pairs, query: Pairs, settings: Settings
) -> Tensor:
    """Support and query pass the network once; the inner steps take place on what reaches the head."""
    last = last_maps(network, support.and_then(query), len(support), settings)
    with torch.autocast(last.device.type, enabled=False):
        pooled = network.pooled(last)
        given, asked = pooled[: len(support)], pooled[len(support) :]

        def logits(parameters: Parameters, of: Tensor) -> Tensor:
            found: Tensor = functional_call(network.head, dict(parameters), (of,))
            return found

        start = starting(network.head, settings, head="")
        return logits(adapted(lambda head: logits(head, given), support.labels, start, settings), asked)


def logits_of_all_adapted(
    network: DifferenceNetwork, support: Pairs, query: Pairs, settings: Settings
) -> Tensor:
    """Each inner step passes the support through the network anew.

    Batch norms see the support once more beside the query, for its statistics under the adapted weights.
    """
    called = PairNetwork(network, settings)

    def logits(parameters: Parameters, pairs: Pairs) -> Tensor:
        found: Tensor = functional_call(called, dict(parameters), (pairs, len(support)))
        return found

    start = starting(called, settings, head="network.head.")
    after = adapted(lambda tried: logits(tried, support), support.labels, start, settings)
    if settings.norm == "group":
        return logits(after, query)
    return logits(after, support.and_then(query))[len(support) :]


class PairNetwork(nn.Module):
    """The network as a function of an episode's pairs, for `functional_call`."""

    def __init__(self, network: DifferenceNetwork, settings: Settings) -> None:
        super().__init__()
        self.network, self.settings = network, settings

    def forward(self, pairs: Pairs, given: int) -> Tensor:
        """Logits [B, 2]. given: see `nn.norms`"""
        return self.network.decide(last_maps(self.network, pairs, given, self.settings))


def last_maps(network: DifferenceNetwork, pairs: Pairs, given: int, settings: Settings) -> Tensor:
    """The network's last map of each pair, [B, C, h, w], from images or from a frozen stem's features."""
    features = pairs.references, pairs.images
    if settings.stem_learns:
        features = network.embed_pairs(torch.cat(features, 1), given)
    return network.last_map(network.difference(*features), given)


def starting(module: nn.Module, settings: Settings, *, head: str) -> Parameters:
    """What an episode adapts: the parameters that learn, those of the head at zero where it is reset.

    head: what the names of the head's parameters begin with
    """
    learning = {name: tensor for name, tensor in module.named_parameters() if tensor.requires_grad}
    if not settings.reset_head:
        return learning
    return {
        name: torch.zeros_like(tensor, requires_grad=True) if name.startswith(head) else tensor
        for name, tensor in learning.items()
    }
