"""Measures of validation images that training decides by: recall, the threshold of best F1, means by image.

Evaluation proper is a layer above methods; its figures are tested to agree with these.
Letters: N images, M pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.ranks import auroc

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]  # 1 for defective


def validation_figures(probabilities: Scores, labels: Labels) -> dict[str, float]:
    """Mean log likelihood, AUROC (0.5 without both kinds), recall and accuracy at probability 0.5.

    probabilities: [N], of being defective; labels: [N]
    """
    right = np.where(labels == 1, probabilities, 1 - probabilities)
    area = auroc(probabilities, labels)
    return {
        "log_likelihood": float(np.log(np.maximum(right, 1e-7)).mean()),
        "auroc": 0.5 if area is None else area,
        "recall": recall_at(0.5, probabilities, labels),
        "accuracy": float((right > 0.5).mean()),
    }


def recall_at(threshold: float, scores: Scores, labels: Labels) -> float:
    """Share of the defective images whose score is at least the threshold; 0 without any."""
    bad = scores[labels == 1]
    return float((bad >= threshold).mean()) if len(bad) else 0.0


def best_f1(scores: Scores, labels: Labels) -> float:
    """Threshold of best F1, midway between the last score called defective and the next.

    Of equal ones the highest. 0.5 where no image is defective.
    """
    if not (labels == 1).any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order] == 1)
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + hits[-1])
    whole = np.append(ranked[:-1] > ranked[1:], True)  # equal scores are called together
    best = int(np.argmax(np.where(whole, f1, -1.0)))
    following = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + following) / 2)


def mean_by_image(scores: Scores, images: Labels, labels: Labels) -> tuple[Scores, Labels]:
    """Mean score of each image over its pairs [M], and its label; both [N], by rising number of the image."""
    _, first, inverse = np.unique(images, return_index=True, return_inverse=True)
    sums = np.bincount(inverse, weights=scores)
    return sums / np.bincount(inverse), labels[first]
