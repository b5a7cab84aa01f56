"""A linear rule on pooled features, with every label of the training images: what features alone know.

Logistic regression with the penalty of scikit-learn's, on features of unit variance. Letters: N training
images, B images, C channels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from benchmarks.tables.peers.features import Backbone, pooled


class LinearProbe(nn.Module):
    """weight: [C]; offset: scalar; both are of the features as they are"""

    weight: Tensor
    offset: Tensor

    def __init__(self, backbone: Backbone, weight: NDArray[np.float64], offset: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("weight", torch.from_numpy(weight).float())
        self.register_buffer("offset", torch.tensor(offset).float())

    def forward(self, images: Tensor) -> Tensor:
        """The log odds of a defect. [B, 3, s, s] → [B, 1]"""
        (features,) = self.backbone(images)
        return (pooled(features) @ self.weight + self.offset)[:, None]


def fitted_rule(
    features: NDArray[np.float64], defective: NDArray[np.bool_], *, strength: float
) -> tuple[NDArray[np.float64], float]:
    """Weight [C] and offset of the rule on the features as they are.

    features: [N, C]; defective: [N]; strength: C, how much a training image weighs against the penalty
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation == 0] = 1
    weight, offset = logistic_regression((features - mean) / deviation, defective, strength=strength)
    weight = weight / deviation
    return weight, offset - float(weight @ mean)


def logistic_regression(
    features: NDArray[np.float64], defective: NDArray[np.bool_], *, strength: float
) -> tuple[NDArray[np.float64], float]:
    """Weight [C] and offset that minimise strength · Σ log loss + ½ |weight|²; the offset is free."""
    signs = np.where(defective, 1.0, -1.0)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (features @ values[:-1] + values[-1])
        pull = -signs / (1 + np.exp(np.clip(margins, -500, 500)))  # d log loss / d log odds
        gradient = np.append(strength * features.T @ pull + values[:-1], strength * pull.sum())
        return strength * np.logaddexp(0, -margins).sum() + 0.5 * values[:-1] @ values[:-1], gradient

    start = np.zeros(features.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-6})
    return np.asarray(found.x[:-1]), float(found.x[-1])
