"""Optimisers and learning rate schedules that several methods train with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer


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
