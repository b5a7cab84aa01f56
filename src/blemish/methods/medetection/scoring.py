"""What training measures on validation images: AUROC, recall, the threshold of best F1.

Evaluation proper is a layer above methods; its figures are tested to agree with these.
Letters: N images, M pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


def auroc(scores: Scores, labels: Labels) -> float:
    """Share of (defective, normal) pairs that the scores order rightly, ties as half. 0.5 without a pair.

    scores: [N]; labels: [N], 1 for defective
    """
    bad = int((labels == 1).sum())
    good = len(labels) - bad
    if not bad or not good:
        return 0.5
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = float((np.cumsum(counts) - (counts - 1) / 2)[group][labels == 1].sum())  # of equals their mean
    return (ranks - bad * (bad + 1) / 2) / (bad * good)


def recall_at(threshold: float, scores: Scores, labels: Labels) -> float:
    """Share of the defective images whose score is at least the threshold; 0 without any."""
    bad = scores[labels == 1]
    return float((bad >= threshold).mean()) if len(bad) else 0.0


def best_f1(scores: Scores, labels: Labels) -> float:
    """The threshold of best F1, in the middle between the last score called defective and the next.

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
    """Of pairs [M] the mean score of each image and its label, [N], in the order of the images' numbers."""
    _, first, inverse = np.unique(images, return_index=True, return_inverse=True)
    sums = np.bincount(inverse, weights=scores)
    return sums / np.bincount(inverse), labels[first]
