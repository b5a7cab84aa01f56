"""The class bank as arrays: what a bundle keeps of its classes, for whatever runs the detector.

Letters: K classes, m width, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.store import Tensors
from blemish.errors import BlemishError
from blemish.methods.tlsdd.settings import Settings

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Bank:
    """As `bank.ClassBank`. class_vectors: [K, m]; prototypes: [K, D]; known: [K]; made_for: [32] uint8"""

    class_vectors: Floats
    prototypes: Floats
    known: NDArray[np.bool_]
    made_for: NDArray[np.uint8]

    def with_class(self, class_vector: Floats, prototype: Floats) -> Bank:
        """A bank with one class more, at the end. class_vector: [m]; prototype: [D]"""
        return Bank(
            np.concatenate([self.class_vectors, class_vector[None]]),
            np.concatenate([self.prototypes, prototype[None]]),
            np.append(self.known, True),
            self.made_for,
        )

    def tensors(self) -> Tensors:
        """As a bundle keeps them."""
        return {name: np.ascontiguousarray(array) for name, array in vars(self).items()}


def bank_of(tensors: Tensors, settings: Settings, classes: int) -> Bank:
    """The bank that a bundle keeps. Raises BlemishError where it does not fit settings and classes."""
    wanted = {
        "class_vectors": (classes, settings.width),
        "prototypes": (classes, settings.embedding),
        "known": (classes,),
        "made_for": (32,),
    }
    shapes = {name: array.shape for name, array in tensors.items()}
    if shapes != wanted:
        raise BlemishError(
            f"The class bank must hold {wanted}, by name. Received: {shapes}. Copy the whole bundle again."
        )
    return Bank(**tensors)  # type: ignore[arg-type]
