"""Optimisers and learning rate schedules that several methods train with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

RATE_SHARE = "rate_share"  # in a group of an optimiser, of the learning rate; 1 where it is not given


def adamw(parameters: Iterable[nn.Parameter], *, weight_decay: float) -> Optimizer:
    """AdamW without decay on biases and norms. Its learning rate is set by the loop at every step."""
    listed = list(parameters)
    return AdamW(
        [
            {"params": [p for p in listed if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in listed if p.ndim <= 1], "weight_decay": 0.0},
        ]
    )


def adam(parameters: Iterable[nn.Parameter], *, betas: tuple[float, float], weight_decay: float) -> Optimizer:
    """Adam over the parameters that learn. Its learning rate is set by the loop at every step."""
    listed = [parameter for parameter in parameters if parameter.requires_grad]
    return Adam(listed, betas=betas, weight_decay=weight_decay)


def scheduled(
    peak: float, *, steps: int, warmup: int = 0, schedule: Literal["constant", "cosine"] = "cosine"
) -> Callable[[int], float]:
    """Learning rate of each step: `peak` throughout, or `warm_cosine` times `peak`."""
    if schedule == "constant":
        return lambda step: peak
    return lambda step: peak * warm_cosine(step, steps=steps, warmup=warmup)


def warm_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at a step: linear rise over the warm-up, then half a cosine towards
    0.
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def momentum_sgd(parameters: Iterable[nn.Parameter], *, momentum: float, weight_decay: float) -> Optimizer:
    """SGD with momentum over the parameters that learn, without decay on biases and norms."""
    listed = [parameter for parameter in parameters if parameter.requires_grad]
    return SGD(
        [
            {"params": [p for p in listed if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in listed if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=0.0,
        momentum=momentum,
    )


def warm_steps(step: int, *, steps: int, warmup: int, drops: Iterable[float]) -> float:
    """Share of the peak learning rate at a step: linear rise over the warm-up, a tenth from each drop on.

    drops: shares of the steps, at each of which the rate falls to a tenth of what it was
    """
    if step < warmup:
        return (step + 1) / warmup
    passed: float = 0.1 ** sum(step >= share * steps for share in drops)
    return passed


def freeze_parts(network: nn.Module, rate_shares: Mapping[str, float]) -> None:
    """Freeze, in place, the parts of a network whose share of the learning rate is 0: no gradient, eval mode.

    rate_shares: by name of a part, such as "encoder" or "encoder.layer1"
    Raises ValueError for a name that no part has.
    """
    parts = dict(network.named_modules())
    for name, share in rate_shares.items():
        if name not in parts:
            raise ValueError(f"rate_shares must name parts of the network. Received: '{name}'.")
        if share == 0:
            parts[name].requires_grad_(False).eval()


def share_rates(optimiser: Optimizer, network: nn.Module, rate_shares: Mapping[str, float]) -> None:
    """Split the optimiser's groups, in place, so that each holds parameters of one share of the rate.

    rate_shares: by name of a part; of nested parts the inner one counts. A new group has its `RATE_SHARE`.
    """
    if not rate_shares:
        return
    share_of = {
        parameter: share_at(name, rate_shares)
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }
    groups = []
    for group in optimiser.param_groups:
        learning = [parameter for parameter in group["params"] if parameter in share_of]
        for share in sorted({share_of[parameter] for parameter in learning}):
            members = [parameter for parameter in learning if share_of[parameter] == share]
            groups.append({**group, "params": members, RATE_SHARE: share})
    optimiser.param_groups[:] = groups


def share_at(name: str, rate_shares: Mapping[str, float]) -> float:
    """Share of the learning rate of a parameter by its name; 1 where it is in none of the parts."""
    parts = [part for part in rate_shares if name.startswith(f"{part}.")]
    return rate_shares[max(parts, key=len)] if parts else 1.0


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the learning rate of each group, its share of `rate`."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get(RATE_SHARE, 1.0)
