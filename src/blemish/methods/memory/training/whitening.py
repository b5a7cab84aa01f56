"""Projection of features on their principal components, each brought to unit variance.

Letters: P patches, C channels, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_DEVIATION = 1e-6
AT_ONCE = 4096  # patches


def whitening(features: Tensor, dimensions: int, *, floor: float) -> tuple[Tensor, Tensor]:
    """Mean [C] and matrix [C, D]; columns of (f − mean) @ matrix are uncorrelated, of variance 1 at most.

    Channels are brought to variance 1 first, so that components are of what varies together, not of what a
    network gives in large numbers.
    features: [P, C]; dimensions: D at most; floor: share of the mean variance that is added to each
    component's before it is divided by
    """
    mean = features.mean(0, dtype=torch.float64)
    products = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for part in torch.split(features, AT_ONCE):  # a copy of all in double precision would be large
        centred = part.double() - mean
        products += centred.T @ centred
    covariance = products / len(features)
    deviation = covariance.diagonal().clamp(min=0).sqrt().clamp(min=LEAST_DEVIATION)
    variances, components = torch.linalg.eigh(covariance / deviation / deviation[:, None])
    largest = variances.argsort(descending=True)[:dimensions]
    kept = variances[largest].clamp(min=0) + floor * variances.clamp(min=0).mean()
    matrix = components[:, largest] / kept.clamp(min=LEAST_DEVIATION).sqrt() / deviation[:, None]
    return mean.float(), matrix.float()
