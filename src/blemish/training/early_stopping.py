"""Early stopping: validations of a stage and its best state so far, kept beside each checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blemish.methods.contract import EarlyStopping, ValidationResult

BEST, RESULTS = "best.", "looks"  # in checkpoints, by the names that older runs have


class EarlyStopper:
    """Validations of a network in training. A stage without early stopping is never validated."""

    def __init__(self, stopping: EarlyStopping | None) -> None:
        self.stopping = stopping
        self.results: list[ValidationResult] = []
        self.best: dict[str, Tensor] = {}

    def due(self, step: int, *, ends: bool = False) -> bool:
        """True where the network is validated after `step` steps; the first time is before any training.

        ends: whether that was the last step
        """
        return self.stopping is not None and (step % self.stopping.every == 0 or ends)

    def validate(self, network: nn.Module, step: int) -> ValidationResult:
        """Measure the network in eval mode, and keep its state where there was no better one."""
        assert self.stopping is not None
        was_training = network.training
        network.eval()
        with torch.no_grad():
            found = ValidationResult(
                step, {name: float(value) for name, value in self.stopping.measure(network).items()}
            )
        network.train(was_training)
        self.results.append(found)
        if self.since_best == 0:
            self.best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        return found

    @property
    def since_best(self) -> int:
        """Validations after the best one, of equal ones the first; the last is the best without a criterion."""
        assert self.stopping is not None
        if self.stopping.criterion is None:
            return 0
        values = [result.values[self.stopping.criterion] for result in self.results]
        return len(values) - 1 - values.index(max(values))

    @property
    def exhausted(self) -> bool:
        """True once `patience` validations in a row were no better than one before."""
        return self.stopping is not None and bool(self.results) and self.since_best >= self.stopping.patience

    def end(self, network: nn.Module) -> tuple[ValidationResult, ...]:
        """Put the network into its best state; returns the results of all validations."""
        if self.best:
            network.load_state_dict(self.best)
        return tuple(self.results)

    # As part of a checkpoint

    def tensors(self) -> dict[str, Tensor]:
        """Tensors of the best state, by the names that they have in a checkpoint."""
        return {BEST + name: tensor for name, tensor in self.best.items()}

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
