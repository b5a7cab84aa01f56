"""A stage of training: what a method asks the training loop to optimise, and what the loop gives back.

No torch is imported here, so that methods can be listed without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


@dataclass(frozen=True)
class ValidationResult:
    """Measures of a network in training after so many steps, by name."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class EarlyStopping:
    """Validation while a network trains: its best state is kept, and training ends when it gets no better.

    every: steps between validations; the last step is validated, too
    measure: the network in eval mode to named numbers, all of which are logged
    criterion: the one that decides, higher is better; of equal ones the first is kept
    patience: validations without a better one after which training ends
    """

    every: int
    measure: Callable[[nn.Module], Mapping[str, float]]
    criterion: str
    patience: int


@dataclass
class CacheUse:
    """Use of a cache of what a frozen part of a network makes of images.

    max_bytes: that are kept, beyond which results are computed anew
    views: results of each image that a batch reads, where every one is as likely and each read asks for one;
        None: otherwise, so that what a step computes is not told apart from the step
    kept: results kept, of num_bytes in all; requests: for results; computed: those of them that were not
    there, in so many seconds
    """

    max_bytes: int
    views: int | None = None
    kept: int = 0
    num_bytes: int = 0
    requests: int = 0
    computed: int = 0
    seconds: float = 0.0

    def keep(self, num_bytes: int) -> bool:
        """Count a result as kept; returns whether there is room for it."""
        if self.num_bytes + num_bytes > self.max_bytes:
            return False
        self.kept += 1
        self.num_bytes += num_bytes
        return True

    def drop(self, num_bytes: int) -> None:
        """Count a result as no longer kept."""
        self.kept -= 1
        self.num_bytes -= num_bytes


@dataclass(frozen=True)
class Stage:
    """Optimisation of a network, by the batch of each step and the loss.

    batch: step and process rank to tensors; depends on nothing else, so that a resumed run sees the same
    batches
    loss: network and batch to a scalar; extra named values of it are logged
    learning_rate: of each step, in [0, steps); gradient_clip: greatest norm of the whole gradient
    early_stopping: with it, the network is left in its best state, which may be that before the first step
    rate_shares: of the learning rate, by name of a part of the network such as "encoder"; 0: frozen, 1
        elsewhere; of nested parts the inner one counts
    weight_average: share of itself that the running mean of the weights keeps at each step; the mean is what
        is validated and what the network is left with. 0: the weights themselves
    cache: use of the cache that steps take features from, where there is one
    """

    name: str
    network: nn.Module
    steps: int
    batch: Callable[[int, int], Mapping[str, Tensor]]
    loss: Callable[[nn.Module, Mapping[str, Tensor]], Tensor]
    optimiser: Callable[[Iterable[nn.Parameter]], Optimizer]
    learning_rate: Callable[[int], float]
    gradient_clip: float
    early_stopping: EarlyStopping | None = None
    rate_shares: Mapping[str, float] = field(default_factory=dict)
    weight_average: float = 0.0
    cache: CacheUse | None = None


@dataclass(frozen=True)
class StageSteps:
    """Setting that holds a stage's steps, which a time budget may lower.

    stage: name of the stage; least: steps below which it learns nothing of use
    """

    stage: str
    setting: str
    least: int
