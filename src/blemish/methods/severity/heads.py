"""Outputs of stage 1 and the severities that they stand for, without torch. Letters: K outputs; h, w cells.

With loss "paper" there is one output, the severity. With "hurdle" there are two: the logit that a cell is
defective, and the logit of how severe it is then, as a share of 12. Its severity is the product, which is in
[0, 12] by construction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.methods.severity.labels import SEVERITY_MAX

SOFT_FROM = SEVERITY_MAX / 2  # severities above are drawn in, so that none reaches 12


def num_outputs(loss: str) -> int:
    """K of a network that is trained with a loss."""
    return 2 if loss == "hurdle" else 1


def severities_from(outputs: NDArray[np.float32], loss: str) -> NDArray[np.float32]:
    """Severity of each cell, [h, w]; of loss "paper" it may leave [0, 12]. outputs: [K, h, w]"""
    if loss == "paper":
        return outputs[0]
    defective, severe = outputs
    return np.float32(SEVERITY_MAX) * sigmoid(defective) * sigmoid(severe)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + e^-x), for logits of any size."""
    return np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * logits))


def softly_limited(severities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Severities in [0, 12) in the same order, without ties where they exceed 12; those up to 6 stay."""
    limited = np.maximum(severities, np.float32(0))
    high = limited > SOFT_FROM
    limited[high] = SEVERITY_MAX - SOFT_FROM * np.exp(1 - limited[high] / np.float32(SOFT_FROM))
    return limited
