"""Early stopping and averaging: which of a stage's weights are validated and which it ends with, kept beside
each checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Self

import torch
from torch import Tensor, nn

from blemish.methods.contract import EarlyStopping, Stage, ValidationResult
from blemish.nn.averaging import WeightAverage, state_copy

BEST, RESULTS = "best.", "looks"  # in checkpoints, by the names that older runs have
AVERAGE = "average."  # in checkpoints


class EarlyStopper:
    """Validations of a network in training. A stage without early stopping is never validated.

    average: of the weights, which is validated and which the stage ends with; None: the weights themselves
    """

    def __init__(self, stopping: EarlyStopping | None, average: WeightAverage | None = None) -> None:
        self.stopping = stopping
        self.average = average
        self.results: list[ValidationResult] = []
        self.best: dict[str, Tensor] = {}

    @classmethod
    def of(cls, stage: Stage) -> Self:
        """Early stopping and averaging as the stage wants them; its network is where it will be trained."""
        average = WeightAverage(stage.network, stage.weight_average) if stage.weight_average > 0 else None
        return cls(stage.early_stopping, average)

    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step. step: number of steps taken before it"""
        if self.average is not None:
            self.average.update(network, step)

    def due(self, step: int, *, ends: bool = False) -> bool:
        """True where the network is validated after `step` steps; the first time is before any training.

        ends: whether that was the last step
        """
        return self.stopping is not None and (step % self.stopping.every == 0 or ends)

    def validate(self, network: nn.Module, step: int) -> ValidationResult:
        """Measure the network in eval mode, and keep its state where there was no better one."""
        assert self.stopping is not None
        training = {module for module in network.modules() if module.training}
        network.eval()
        with torch.no_grad(), self.average.inside(network) if self.average else nullcontext():
            found = ValidationResult(
                step, {name: float(value) for name, value in self.stopping.measure(network).items()}
            )
            self.results.append(found)
            if self.since_best == 0:
                self.best = state_copy(network)
        for module in network.modules():
            module.training = module in training
        return found

    @property
    def since_best(self) -> int:
        """Validations after the best one, of equal ones the first."""
        assert self.stopping is not None
        values = [result.values[self.stopping.criterion] for result in self.results]
        return len(values) - 1 - values.index(max(values))

    @property
    def exhausted(self) -> bool:
        """True once `patience` validations in a row were no better than one before."""
        return self.stopping is not None and bool(self.results) and self.since_best >= self.stopping.patience

    def end(self, network: nn.Module) -> tuple[ValidationResult, ...]:
        """Put the network into its best state, or else into the average of its weights.

        Returns the results of all validations.
        """
        if self.average is not None:
            network.load_state_dict(self.average.tensors)
        if self.best:
            network.load_state_dict(self.best)
        return tuple(self.results)

    # As part of a checkpoint

    def tensors(self) -> dict[str, Tensor]:
        """Tensors of the best state and of the average, by the names that they have in a checkpoint."""
        average = self.average.tensors if self.average is not None else {}
        return {
            **{BEST + name: tensor for name, tensor in self.best.items()},
            **{AVERAGE + name: tensor for name, tensor in average.items()},
        }

    def metadata(self) -> dict[str, str]:
        """Results of all validations as text for a checkpoint."""
        return {RESULTS: json.dumps([[result.step, result.values] for result in self.results])}

    def recall(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Restore the state from tensors and metadata of a checkpoint."""
        self.results = [
            ValidationResult(step, values) for step, values in json.loads(metadata.get(RESULTS, "[]"))
        ]
        self.best = {
            name.removeprefix(BEST): value for name, value in tensors.items() if name.startswith(BEST)
        }
        if self.average is not None:
            for name, own in self.average.tensors.items():
                own.copy_(tensors[AVERAGE + name])
