"""Closed-form rows: ridge regressions from a region's features to its IoU with a defect, and to its box.

w = (G_bg + G + G_neg + λI)⁻¹ g, where g is the mean of z·IoU over boxes about the examples, parts and
over-large ones included, and each G a mean of zzᵀ: over background, over those boxes, over regions that are
none. Such means are all that is kept of an example, so that examples may come later. Letters: F features, z a
region's features and a 1, [F + 1]; R regions; N boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.random import Generator

from blemish.arrays import Boxes, Floats, Size
from blemish.regions.boxes import clip_boxes

BOXES = 200  # about each example
GAIN = 10.0  # of the logit, by predicted IoU as a share of the level
MIN_LEVEL = 0.1
RIDGE = 0.03  # λ, as a share of the mean square of a feature of the background
NEAR = 1 / 3  # share of those that differ by a factor of 1.35 at most
WIDE = (-1.6, 0.9)  # logarithms of the factors of the others
MIN_SIDE = 4.0  # pixels of a box about an example, at least
OUTPUTS = 5  # IoU, and the four deltas of the box


@dataclass(frozen=True)
class Moments:
    """Means over regions from which a row is computed; F + 1 is written D.

    examples: [D, D], of zzᵀ over boxes about the examples; targets: [D, 5], of z times IoU and deltas
    negatives: [D, D], of zzᵀ over regions that are none, zeros without any
    num_boxes, num_others: numbers of regions behind these means
    """

    examples: Floats
    targets: Floats
    negatives: Floats
    num_boxes: int
    num_others: int

    @classmethod
    def none(cls, features: int) -> Moments:
        """Moments of no region."""
        side = features + 1
        square = np.zeros((side, side), np.float32)
        return cls(square, np.zeros((side, OUTPUTS), np.float32), square, 0, 0)

    @classmethod
    def of_examples(cls, features: Floats, iou: Floats, deltas: Boxes) -> Moments:
        """Moments of boxes about an example.

        features: [R, F]; iou: [R], with the example; deltas: [R, 4], to it
        """
        extended = with_one(features)
        targets = extended.T @ np.concatenate([iou[:, None], deltas], axis=1) / len(extended)
        whole = cls.none(features.shape[1])
        return replace(
            whole, examples=gram(features), targets=targets.astype(np.float32), num_boxes=len(features)
        )

    @classmethod
    def of_negatives(cls, features: Floats) -> Moments:
        """Moments of regions that are not the class. features: [R, F]"""
        return replace(cls.none(features.shape[1]), negatives=gram(features), num_others=len(features))

    @classmethod
    def mean(cls, each: Sequence[Moments]) -> Moments:
        """Moments of several sets of regions together. each: one at least"""
        return reduce(add, each[1:], each[0])

    def __add__(self, more: Moments) -> Moments:
        """Moments of both sets of regions together."""
        boxes, others = self.num_boxes + more.num_boxes, self.num_others + more.num_others
        share, share_of_others = more.num_boxes / max(1, boxes), more.num_others / max(1, others)
        return Moments(
            mixed(self.examples, more.examples, share),
            mixed(self.targets, more.targets, share),
            mixed(self.negatives, more.negatives, share_of_others),
            boxes,
            others,
        )

    def row(self, background: Floats) -> Floats:
        """Solve for the weights of IoU and deltas, [D, 5]. background: [D, D], of zzᵀ over background

        The IoU is told from background and negatives, the deltas are of boxes about a defect alone.
        """
        ridge = ridge_of(background)
        targets = self.targets.astype(np.float64)
        score = np.linalg.solve(background + self.examples + self.negatives + ridge, targets[:, :1])
        deltas = np.linalg.solve(self.examples + ridge, targets[:, 1:])
        return np.concatenate([score, deltas], axis=1).astype(np.float32)


def ridge_of(background: Floats) -> Floats:
    """λI, [D, D], for what is told from a background [D, D]."""
    mean_square = np.trace(background[:-1, :-1].astype(np.float64)) / (len(background) - 1)
    ridge: Floats = RIDGE * mean_square * np.eye(len(background))
    return ridge


def logit_row(row: Floats, level: float, cut: float, threshold: float) -> Floats:
    """Turn a row's IoU into the logit of a confidence that is `threshold` where it is `cut`, [D, 5].

    level: IoU that the class's own defects are predicted to have; threshold: of the bundle, in (0, 1)
    """
    scaled, gain = row.copy(), GAIN / max(level, MIN_LEVEL)
    scaled[:, 0] *= gain
    kept = min(max(threshold, 1e-6), 1 - 1e-6)
    scaled[-1, 0] += np.log(kept / (1 - kept)) - gain * cut
    return scaled


def with_one(features: Floats) -> Floats:
    """Features [R, F] and a 1, [R, F + 1], in double precision."""
    return np.concatenate([features, np.ones_like(features[:, :1])], axis=1).astype(np.float64)


def gram(features: Floats) -> Floats:
    """Mean of zzᵀ over regions, [F + 1, F + 1]. features: [R, F], R at least 1"""
    extended = with_one(features)
    return (extended.T @ extended / len(extended)).astype(np.float32)


def mixed(first: Floats, second: Floats, share: float) -> Floats:
    """Weighted mean of two means. share: of the second, in [0, 1]"""
    return ((1 - share) * first.astype(np.float64) + share * second).astype(np.float32)


# Boxes about an example


def boxes_about(box: Boxes, size: Size, generator: Generator, count: int = BOXES) -> Boxes:
    """Draw boxes about a box [4] in an image of `size`: near ones, parts, and larger ones; [count, 4].

    The first is the box itself. Sides are drawn by factors from ⅕ to 2½, each alone, so that thin parts of a
    defect and boxes too long on one side are among them.
    """
    sides, centre = box[2:] - box[:2], (box[:2] + box[2:]) / 2
    near = generator.random((count, 1)) < NEAR
    factors = np.where(
        near,
        np.exp(generator.uniform(-0.3, 0.3, (count, 2))),
        np.exp(generator.uniform(*WIDE, (count, 2))),
    )
    new_sides = sides * factors
    reach = 0.5 * np.abs(sides - new_sides) + 0.15 * sides
    centres = centre + generator.uniform(-1, 1, (count, 2)) * reach
    moved = np.concatenate([centres - new_sides / 2, centres + new_sides / 2], axis=1)
    drawn = np.concatenate([box[None], moved[1:]]).astype(np.float32)
    inside = clip_boxes(drawn, size)
    large = (inside[:, 2:] - inside[:, :2]).min(axis=1, keepdims=True) >= MIN_SIDE
    return np.where(large, inside, box)
