"""Class bank: feature weights and a prototype for each class, kept apart from the detector's weights.

Source: TL-SDD eqs. 1 and 2. Both come from boxed examples, so that a class can be added without training. A
bundle keeps the bank as a file of its own, with the digest of the detector that it was made for. Letters: K
classes, m width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Floats
from blemish.bundle.store import Tensors
from blemish.errors import BlemishError
from blemish.methods.tlsdd.settings import TlsddSettings

if TYPE_CHECKING:
    import torch

    from blemish.methods.tlsdd.network.class_tensors import ClassTensors


@dataclass(frozen=True)
class ClassEntry:
    """Row of a class in the bank. vector: feature weights, [m]; prototype: [D]"""

    vector: Floats
    prototype: Floats


@dataclass(frozen=True)
class ClassBank:
    """Everything known of a detector's classes; `to_torch` gives it to the detector.

    class_vectors: [K, m] fp32; prototypes: [K, D] fp32; known: [K], False where a class has no example
    made_for: SHA-256 of the detector's tensors, [32] uint8
    biases: [K] fp32, of the logits of distances; None where phase 2 learns none (`prototype_offsets`)
    """

    class_vectors: Floats
    prototypes: Floats
    known: NDArray[np.bool_]
    made_for: NDArray[np.uint8]
    biases: Floats | None = None

    def __post_init__(self) -> None:
        for name, array in self.tensors().items():
            if not np.isfinite(array).all():
                raise BlemishError(f"The class bank's {name} must be finite. Train or copy the bundle again.")

    @classmethod
    def empty(cls, settings: TlsddSettings, num_classes: int) -> ClassBank:
        """Make a bank of unknown classes for no detector, of the shapes that a bundle's tensors have."""
        return cls(
            np.ones((num_classes, settings.width), np.float32),
            np.zeros((num_classes, settings.embedding), np.float32),
            np.zeros(num_classes, np.bool_),
            np.zeros(32, np.uint8),
            np.zeros(num_classes, np.float32) if settings.learns_offsets else None,
        )

    @classmethod
    def from_entries(
        cls, entries: Sequence[ClassEntry], known: Sequence[bool], made_for: NDArray[np.uint8]
    ) -> ClassBank:
        """Make a bank with a row for each entry, without biases."""
        return cls(
            np.stack([entry.vector for entry in entries]),
            np.stack([entry.prototype for entry in entries]),
            np.array(known, np.bool_),
            made_for,
        )

    @classmethod
    def from_tensors(cls, tensors: Tensors, settings: TlsddSettings, num_classes: int) -> ClassBank:
        """Open a bundle's bank. Raises BlemishError where it does not fit settings and classes."""
        empty = cls.empty(settings, num_classes)
        expected = {name: array.shape for name, array in empty.tensors().items()}
        received = {name: array.shape for name, array in tensors.items()}
        types = {name: array.dtype for name, array in tensors.items()}
        if received == expected and types != {name: array.dtype for name, array in empty.tensors().items()}:
            raise BlemishError(
                f"The class bank must hold numbers of its types. Received: {types}. "
                "Copy the whole bundle again."
            )
        if received != expected:
            raise BlemishError(
                f"The class bank must hold {expected}, by name. Received: {received}. "
                "Copy the whole bundle again."
            )
        return cls(**tensors)  # type: ignore[arg-type]

    def with_classes(self, entries: Sequence[ClassEntry]) -> ClassBank:
        """Make a larger bank, with the entries as its last classes, whose biases are 0."""
        return ClassBank(
            np.stack([*self.class_vectors, *(entry.vector for entry in entries)]),
            np.stack([*self.prototypes, *(entry.prototype for entry in entries)]),
            np.append(self.known, np.ones(len(entries), np.bool_)),
            self.made_for,
            None if self.biases is None else np.pad(self.biases, (0, len(entries))),
        )

    def tensors(self) -> Tensors:
        """Arrays by name, as a bundle keeps them."""
        return {name: np.ascontiguousarray(array) for name, array in vars(self).items() if array is not None}

    def to_torch(self, device: torch.device | str = "cpu") -> ClassTensors:
        """Copy the arrays to tensors on the device. Needs torch."""
        from blemish.methods.tlsdd.network.class_tensors import ClassTensors

        return ClassTensors.from_bank(self).to(device)
