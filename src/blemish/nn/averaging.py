"""Running averages of a network's weights in training.

Early steps count for less: the average keeps less of itself at first, so that the random start is forgotten
in a short training as well. Source: Polyak & Juditsky 1992; Tarvainen & Valpola 2017 for running means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def share_kept(updates: int, decay: float) -> float:
    """Share of a running mean that is kept after so many updates: (1 + n) / (10 + n), at most `decay`."""
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage:
    """Running mean of a network's parameters and of the statistics of its norms; counters are copied.

    decay: share of itself that the average keeps at each step, see `share_kept`
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors: Mapping[str, Tensor] = state_copy(network)

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the network after another step. step: number of steps taken in before"""
        kept = share_kept(step, self.decay)
        for name, latest in network.state_dict().items():
            own = self.tensors[name]
            if own.is_floating_point():
                own.lerp_(latest, 1 - kept)
            else:
                own.copy_(latest)

    @contextmanager
    def inside(self, network: nn.Module) -> Iterator[None]:
        """Within the context the network has the average's weights; afterwards its own again."""
        own = state_copy(network)
        network.load_state_dict(self.tensors)
        try:
            yield
        finally:
            network.load_state_dict(own)


def state_copy(network: nn.Module) -> dict[str, Tensor]:
    """Copy of a network's parameters and buffers by name."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
