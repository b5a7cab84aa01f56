"""Class bank as tensors, on the device of the detector.

Letters: K classes, m width, D embedding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.errors import BlemishError
from blemish.methods.tlsdd.class_bank.bank import ClassBank


class ClassTensors(nn.Module):
    """Classes for a detector to tell apart: those of a bank, or in training those of an episode.

    class_vectors: [K, m]; prototypes: [K, D]; known: [K] bool, False where a class has no example
    made_for: SHA-256 of the detector's tensors, [32] uint8; zeros in training
    biases: [K], added to the logits of distances; None without `prototype_offsets`
    A module, so that a bundle keeps it under the names of `ClassBank`.
    """

    class_vectors: Tensor
    prototypes: Tensor
    known: Tensor
    made_for: Tensor
    biases: Tensor | None

    def __init__(
        self,
        class_vectors: Tensor,
        prototypes: Tensor,
        known: Tensor,
        made_for: Tensor | None = None,
        biases: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("class_vectors", class_vectors)
        self.register_buffer("prototypes", prototypes)
        self.register_buffer("known", known)
        self.register_buffer("made_for", torch.zeros(32, dtype=torch.uint8) if made_for is None else made_for)
        self.register_buffer("biases", biases)

    @classmethod
    def from_bank(cls, bank: ClassBank) -> Self:
        """Copy the bank's arrays to tensors on the CPU."""
        return cls(**{name: torch.from_numpy(array.copy()) for name, array in bank.tensors().items()})

    def to_bank(self) -> ClassBank:
        """Copy the tensors to a bank of arrays."""
        return ClassBank(**{name: tensor.cpu().numpy() for name, tensor in self.state_dict().items()})


class EnrolledTensors(nn.Module):
    """Classes that were added without training, under the names that a bundle has their arrays under."""

    weights: Tensor

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        super().__init__()
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Copy the tensors to arrays."""
        return {name: tensor.cpu().numpy() for name, tensor in self.state_dict().items()}


def digest_of(module: nn.Module) -> NDArray[np.uint8]:
    """SHA-256 of a module's tensors, by name, [32]."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())  # in C order, whatever the memory format
    return np.frombuffer(digest.digest(), np.uint8).copy()


def refuse_other_bank(detector: nn.Module, bank: ClassTensors, *, source: str) -> None:
    """Raise BlemishError when the bank was made for another detector: its vectors mean nothing here."""
    if not np.array_equal(digest_of(detector), bank.made_for.cpu().numpy()):
        raise BlemishError(
            f"{source}: its class bank was made for another detector. "
            "Copy the whole bundle, or train it again."
        )
