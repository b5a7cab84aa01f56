"""Early stopping: the looks of a watched stage and the best state so far, kept beside each checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blemish.methods.contract import EarlyStopping, ValidationResult

BEST, LOOKS = "best.", "looks"


class EarlyStopper:
    """What a watch has seen of a network. A network without a watch is never looked at."""

    def __init__(self, watch: EarlyStopping | None) -> None:
        self.watch = watch
        self.looks: list[ValidationResult] = []
        self.best: dict[str, Tensor] = {}

    def due(self, step: int, last: int) -> bool:
        """Whether the network is looked at after `step` steps. The first look is before any training."""
        return self.watch is not None and (step % self.watch.every == 0 or step == last)

    def look(self, network: nn.Module, step: int) -> ValidationResult:
        """Measure the network in eval mode, and keep its state where there was no better one."""
        assert self.watch is not None
        was_training = network.training
        network.eval()
        with torch.no_grad():
            found = ValidationResult(
                step, {name: float(value) for name, value in self.watch.measure(network).items()}
            )
        network.train(was_training)
        self.looks.append(found)
        if self.since_best == 0:
            self.best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        return found

    @property
    def since_best(self) -> int:
        """Looks after the best one, of equal ones the first."""
        assert self.watch is not None
        values = [one.values[self.watch.criterion] for one in self.looks]
        return len(values) - 1 - values.index(max(values))

    @property
    def exhausted(self) -> bool:
        """Whether `patience` looks in a row were no better than one before."""
        return self.watch is not None and bool(self.looks) and self.since_best >= self.watch.patience

    def end(self, network: nn.Module) -> tuple[ValidationResult, ...]:
        """Leave the network in its best state."""
        if self.best:
            network.load_state_dict(self.best)
        return tuple(self.looks)

    # As part of a checkpoint

    def tensors(self) -> dict[str, Tensor]:
        return {BEST + name: tensor for name, tensor in self.best.items()}

    def metadata(self) -> dict[str, str]:
        return {LOOKS: json.dumps([[one.step, one.values] for one in self.looks])}

    def recall(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Take over what a checkpoint holds."""
        self.looks = [
            ValidationResult(step, values) for step, values in json.loads(metadata.get(LOOKS, "[]"))
        ]
        self.best = {
            name.removeprefix(BEST): value for name, value in tensors.items() if name.startswith(BEST)
        }
