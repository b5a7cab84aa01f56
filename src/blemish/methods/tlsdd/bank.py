"""The class bank: what the detector knows of each class, apart from its weights.

A class is a vector of feature weights (TL-SDD eq. 1) and a prototype (eq. 2), both computed from boxed
examples, so that one can be added without training. Kept in the bundle as its own file, with the detector it
was made for. Letters: K classes, m width, D embedding.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from blemish.errors import BlemishError
from blemish.methods.tlsdd.classes import Bank


class ClassBank(nn.Module):
    """class_vectors: [K, m]; prototypes: [K, D]; known: [K], False where a class has no example.

    made_for: SHA-256 of the detector's tensors, [32] uint8
    """

    class_vectors: Tensor
    prototypes: Tensor
    known: Tensor
    made_for: Tensor

    def __init__(self, classes: int, *, width: int, embedding: int) -> None:
        super().__init__()
        self.register_buffer("class_vectors", torch.ones(classes, width))
        self.register_buffer("prototypes", torch.zeros(classes, embedding))
        self.register_buffer("known", torch.zeros(classes, dtype=torch.bool))
        self.register_buffer("made_for", torch.zeros(32, dtype=torch.uint8))

    def fill(self, class_vectors: Tensor, prototypes: Tensor, known: Tensor, made_for: Tensor) -> None:
        """Copy what was computed of every class."""
        self.class_vectors.copy_(class_vectors)
        self.prototypes.copy_(prototypes)
        self.known.copy_(known)
        self.made_for.copy_(made_for)


def arrays_of(bank: ClassBank) -> Bank:
    """The bank for whatever runs the detector."""
    return Bank(**{name: tensor.cpu().numpy() for name, tensor in bank.state_dict().items()})


def digest_of(module: nn.Module) -> Tensor:
    """SHA-256 of a module's tensors, by name, as [32] uint8."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())  # in C order, whatever the memory format
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8).clone()


def refuse_other_bank(detector: nn.Module, bank: ClassBank, *, source: str) -> None:
    """Raises BlemishError when the bank was made for another detector: its vectors mean nothing here."""
    if not torch.equal(digest_of(detector), bank.made_for.cpu()):
        raise BlemishError(
            f"{source}: its class bank was made for another detector. "
            "Copy the whole bundle, or train it again."
        )
