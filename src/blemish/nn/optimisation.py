"""Optimiser and learning rate schedule that more than one method trains with."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import nn
from torch.optim import AdamW, Optimizer


def adamw(parameters: Iterable[nn.Parameter], *, weight_decay: float) -> Optimizer:
    """AdamW without decay on biases and norms. Its learning rate is set by the loop at every step."""
    listed = list(parameters)
    return AdamW(
        [
            {"params": [p for p in listed if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in listed if p.ndim <= 1], "weight_decay": 0.0},
        ]
    )


def warm_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at a step: linear rise over the warm-up, then half a cosine towards
    0.
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
