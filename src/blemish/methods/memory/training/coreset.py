"""Greedy coreset: patches of which none of the others is far.

Source: Roth et al. 2022 (PatchCore), Algorithm 1; Sener & Savarese 2018 (greedy k-centre).
Letters: P patches, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

PROJECTED = 32  # dimensions of the random projection in which distances are measured


def coreset(patches: Tensor, count: int, generator: Generator, *, projected: int = PROJECTED) -> Tensor:
    """Numbers of at most `count` patches in the order of choice: always that farthest from those before.

    The farthest of the others lies at most twice as far from its nearest as the best choice would leave it,
    but for the projection.
    patches: [P, D]; projected: dimensions of a random projection, where that is fewer
    """
    if count >= len(patches):
        return torch.arange(len(patches))
    places = patches.float()
    if projected < places.shape[1]:
        drawn = torch.randn(places.shape[1], projected, generator=generator)
        places = places @ (drawn / projected**0.5)
    squares = places.square().sum(1)
    chosen = [int(torch.randint(len(places), (1,), generator=generator))]
    nearest = torch.full_like(squares, torch.inf)
    while len(chosen) < count:
        last = chosen[-1]
        squared = squares - 2 * (places @ places[last]) + squares[last]
        nearest = torch.minimum(nearest, squared)
        nearest[last] = -torch.inf  # never again, whatever is rounded
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)
