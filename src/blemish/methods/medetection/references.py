"""The normal images that a product's images are compared with: which, and how they travel in a bundle.

They are a network of the bundle like the other, so that they are hashed with it and every machine reads the
same pixels. Source: Zhang et al. 2023, Fig. 2, x₁; the paper does not say which normals.
Letters: R references, s the side of the square that images are resized to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.methods.medetection.settings import Settings


class References(nn.Module):
    """pictures: [R, 3, s, s] uint8 RGB; R is 0 in a starting point, which has no product."""

    pictures: Tensor

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(count, 3, size, size, dtype=torch.uint8))

    def forward(self, _asked: Tensor) -> Tensor:
        """All of them as float32 in 0…255, whatever is given."""
        return self.pictures.float()


def references_from(pictures: NDArray[np.uint8]) -> References:
    """The module of these pictures, [R, s, s, 3]; R may be 0."""
    references = References(len(pictures), pictures.shape[1])
    references.pictures.copy_(torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))))
    return references


def choose(ids: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    """At most `count` of the normals, the same for a seed in whatever order they come.

    A smaller choice is the beginning of a larger one.
    """
    ordered = sorted(set(ids))
    drawn = np.random.default_rng(seed).permutation(len(ordered))[:count]
    return tuple(ordered[index] for index in drawn)


def kept(settings: Settings) -> int:
    """How many normals a bundle keeps: those that are averaged, or the bank that the nearest come from."""
    return settings.bank if settings.align == "nearest" else settings.references
