"""Running mean of vectors, and k-means of a few, for where the metric space is centred and begins.

Letters: N vectors, D their length, k centres.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOMENTUM = 0.99  # of a running mean
ROUNDS = 10  # of k-means


def update_mean(mean: Tensor, observed: Tensor, vectors: Tensor) -> None:
    """Move a running mean [..., D] towards that of vectors [N, D], in place.

    observed: number of calls so far, in place as well; a plain mean over the first hundred calls, then a
        moving one
    """
    if not len(vectors):
        return
    observed += 1
    share = (1 / observed).clamp(min=1 - MOMENTUM)
    mean.lerp_(vectors.float().mean(0).expand_as(mean), share)


def k_means(vectors: Tensor, count: int) -> Tensor:
    """Centres [k, D] of vectors [N, D], by Lloyd's rounds from the vectors that lie farthest apart.

    Fewer vectors than centres come again. Without randomness.
    """
    centres = vectors.mean(0, keepdim=True)
    if count == 1:
        return centres
    chosen = [vectors[(vectors - centres).square().sum(1).argmax()]]
    while len(chosen) < count:
        nearest = torch.cdist(vectors, torch.stack(chosen)).amin(1)
        chosen.append(vectors[nearest.argmax()])
    centres = torch.stack(chosen)
    for _ in range(ROUNDS):
        own = torch.cdist(vectors, centres).argmin(1)
        members = (own == torch.arange(count, device=vectors.device)[:, None]).float()  # [k, N]
        counts = members.sum(1, keepdim=True)
        centres = torch.where(counts > 0, members @ vectors / counts.clamp(min=1), centres)
    return centres
