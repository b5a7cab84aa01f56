"""The normal images that a product's images are compared with, as a network of the bundle.

They travel as tensors, so that they are hashed with the bundle and every machine reads the same pixels.
Source: Zhang et al. 2023, Fig. 2, x₁. Letters: R references, s side of the square that images are resized to.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class References(nn.Module):
    """Reference images of a product. pictures: [R, 3, s, s] uint8 RGB; R is 0 in a starting point."""

    pictures: Tensor

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(count, 3, size, size, dtype=torch.uint8))

    def forward(self, _inputs: Tensor) -> Tensor:
        """All references as float32 in 0…255, [R, 3, s, s], whatever the input."""
        return self.pictures.float()


def references_from(images: NDArray[np.uint8]) -> References:
    """Build the module of these images, [R, s, s, 3]; R may be 0."""
    references = References(len(images), images.shape[1])
    references.pictures.copy_(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))))
    return references
