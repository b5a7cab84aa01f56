"""Image score from statistics of the whole score map, weighted by a logistic regression on validation images.

A map's maximum is one pixel's word; how much else is high tells defective images from clean ones better. The
weights are not negative, so that a value that rises never lowers the score, and are drawn towards `PRIOR`, so
that few validation images are enough. Letters: H, W of the map, n images, F = 4 statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from blemish.bundle.manifest import Strict
from blemish.methods.common.logistic import fit_logistic, is_better
from blemish.methods.contract import Memory

SMOOTHING = 3  # side of the square that the map is averaged over before its maximum is taken
TOP_SHARES = (0.001, 0.01, 0.1)  # of the map's values, the highest, whose means are taken
NUM_STATISTICS = 1 + len(TOP_SHARES)
# Weights of the standardised statistics before any image is seen, and behind them of the head's log odds:
# twice as much as the map's statistics together.
PRIOR = (1 / 3, 1 / 3, 1 / 3, 0.0, 2.0)
CLIP = 1e-4  # logits of shares nearer to 0 or 1 are not told apart

Weight = Annotated[float, Field(ge=0)]
MapAndMask = tuple[NDArray[np.float32], NDArray[np.bool_]]


class MapScore(Strict):
    """Fitted score of a map, and of an image head's log odds where there is one.

    weights: of the statistics, [F], and behind them of the log odds, [F + 1]; bias: of their sum
    head_mean: stands for the log odds where the image is not there as a whole, as on a web
    """

    weights: tuple[Weight, ...] = Field(min_length=NUM_STATISTICS, max_length=NUM_STATISTICS + 1)
    bias: float
    head_mean: float = 0.0

    @property
    def uses_head(self) -> bool:
        """True where an image head's log odds are part of the score."""
        return len(self.weights) > NUM_STATISTICS

    def probability(
        self, values: NDArray[np.float32], *, max_value: float, head: float | None = None
    ) -> float:
        """Probability of a defect in the image. values: its map, [H, W] in [0, max_value]; head: log odds"""
        logit = self.bias + float(
            np.dot(self.weights[:NUM_STATISTICS], map_statistics(values, max_value=max_value))
        )
        if self.uses_head:
            logit += self.weights[-1] * (self.head_mean if head is None else head)
        return float(1 / (1 + np.exp(-np.clip(logit, -500, 500))))


class MapMemory(Memory):
    """Memory of a bundle whose method gives a map. image_score: None where the map's maximum is the score"""

    image_score: MapScore | None = None

    @property
    def uses_head(self) -> bool:
        """True where an image head is one of the bundle's networks."""
        return self.image_score is not None and self.image_score.uses_head


@dataclass
class MapScoreFitter:
    """Collects the statistics of validation maps, and fits a score to them.

    max_value: greatest possible value of the maps
    """

    max_value: float
    statistics: list[NDArray[np.float64]] = field(default_factory=list)
    defective: list[bool] = field(default_factory=list)
    heads: list[float] = field(default_factory=list)

    def update(self, values: NDArray[np.float32], *, defective: bool, head: float | None = None) -> None:
        """Take in the map of an image, [H, W]. head: log odds of an image head, of every image or of none"""
        self.statistics.append(map_statistics(values, max_value=self.max_value))
        self.defective.append(defective)
        self.heads += [] if head is None else [head]

    def fit(self, groups: Sequence[int] | None = None) -> MapScore | None:
        """Score fitted to all maps taken in; None without a defective or without a clean image.

        An image head is part of it where cross-validation says that it helps.
        groups: [n] numbers that near duplicates share; None: there are none
        """
        if len({*self.defective}) < 2:
            return None
        statistics, defective = np.stack(self.statistics), np.array(self.defective)
        if self.heads:
            both = np.column_stack([statistics, self.heads])
            numbers = range(len(defective)) if groups is None else groups
            if is_better(both, statistics, defective, PRIOR, numbers):
                fitted = fit_map_score(both, defective)
                return fitted.model_copy(update={"head_mean": float(np.mean(self.heads))})
        return fit_map_score(statistics, defective)


def map_statistics(values: NDArray[np.float32], *, max_value: float) -> NDArray[np.float64]:
    """Logits of the smoothed map's maximum and of the means of its highest values, [F].

    values: [H, W] in [0, max_value]; each of `TOP_SHARES` is of at least one value
    """
    smoothed = cv2.blur(values, (SMOOTHING, SMOOTHING), borderType=cv2.BORDER_REPLICATE)
    remaining = values.ravel()
    means = []
    for share in sorted(TOP_SHARES, reverse=True):
        count = max(1, round(share * values.size))
        if count < remaining.size:
            remaining = np.partition(remaining, remaining.size - count)[-count:]
        means.append(remaining.mean(dtype=np.float64))
    shares = np.array([smoothed.max(), *reversed(means)], np.float64) / max_value
    clipped = np.clip(shares, CLIP, 1 - CLIP)
    return np.log(clipped / (1 - clipped))


def fit_map_score(statistics: NDArray[np.float64], defective: NDArray[np.bool_]) -> MapScore:
    """Score with the weights of `logistic.fit_logistic`.

    statistics: [n, F] or [n, F + 1]; defective: [n], some of each kind
    """
    weights, bias = fit_logistic(statistics, defective, PRIOR[: statistics.shape[1]])
    return MapScore(weights=tuple(map(float, weights)), bias=bias)
