"""Data that a bundle holds, as networks: its patches, what distance is usual at each place, and the good
image that others are moved onto.

They travel as tensors, so that they are hashed with the bundle. Letters: M good patches, N defective ones,
V validation images, F patches of each, D dimensions, p places.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PatchCounts:
    """Numbers of patches, see the letters above. far_words: F with a head, else 0"""

    good: int
    defective: int = 0
    images: int = 0
    far: int = 0
    far_words: int = 0


class Patches(nn.Module):
    """Patches of a bundle. good: [M, D]; defective: [N, D]; far: [V, F, D] in fp16

    far_words: deviations of these by the head, [V, F]; [V, 0] without one
    far_places: numbers of the places that these are of, row by row, [V, F]
    """

    good: Tensor
    defective: Tensor
    far: Tensor
    far_words: Tensor
    far_places: Tensor

    def __init__(self, counts: PatchCounts, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("good", torch.zeros(counts.good, dimensions))
        self.register_buffer("defective", torch.zeros(counts.defective, dimensions))
        far = torch.zeros(counts.images, counts.far, dimensions, dtype=torch.float16)
        self.register_buffer("far", far)
        self.register_buffer("far_words", torch.zeros(counts.images, counts.far_words))
        self.register_buffer("far_places", torch.zeros(counts.images, counts.far, dtype=torch.int32))

    def forward(self, _inputs: Tensor) -> Tensor:
        """Good patches, and behind them the defective ones, [M + N, D], whatever the input."""
        return torch.cat([self.good, self.defective])


class Reference(nn.Module):
    """Good image that others are moved onto. picture: [1, 3, s, s] uint8 RGB"""

    picture: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("picture", torch.zeros(1, 3, size, size, dtype=torch.uint8))

    def forward(self, _inputs: Tensor) -> Tensor:
        """The image as float32 in 0…255, [1, 3, s, s], whatever the input."""
        return self.picture.float()


class Usual(nn.Module):
    """Mean and deviation of good images' distances at each place. distance: [2, p], row by row

    p is 1 where images keep their resolution, and all places are alike.
    """

    distance: Tensor

    def __init__(self, places: int) -> None:
        super().__init__()
        self.register_buffer("distance", torch.ones(2, places))

    def forward(self, _inputs: Tensor) -> Tensor:
        """Mean and deviation, [2, p], whatever the input."""
        return self.distance
