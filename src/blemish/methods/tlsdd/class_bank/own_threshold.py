"""Threshold of an added class: the IoU that its row must predict of a region for it to be a defect.

It is chosen on what is not the class (regions kept of training images, good parts, and the examples' own
images, by rows made without them) such that little of it is found, and on the examples that were left out.
All scores are predicted IoUs. Letters: R regions, F features, Z stands for F + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blemish.arrays import Floats
from blemish.methods.capabilities import ClassThreshold
from blemish.methods.tlsdd.class_bank.regions import ImageRegions
from blemish.methods.tlsdd.runtime.enrolled_rows import findings
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.regions.boxes import box_iou

FOUND_IOU = 0.5  # of a finding with an example, from which it finds it
FALSE_IOU = 0.1  # with every example, below which a finding is false
# Share of an image's findings that its regions in a bundle show: 50 of 470 did so on magnetic tiles.
SHOWN = 0.5
MARGIN = 1e-3  # above the first finding that is not let pass, more than rounding moves it by
UNIT = (1, 1)  # size of an image in shares of its sides


@dataclass(frozen=True)
class LeftOut:
    """Findings on an image of examples, by a row made without it.

    examples: score of the surest finding of each example, −∞ without one; false: scores of false findings
    """

    examples: tuple[float, ...]
    false: Floats


@dataclass(frozen=True)
class Evidence:
    """Findings that a threshold is chosen on.

    kept, good: scores of the findings on each training image that the bundle keeps regions of, and good part
    left_out: of each image of examples; empty where all examples are in one image
    """

    kept: tuple[Floats, ...]
    good: tuple[Floats, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def examples(self) -> Floats:
        """Scores of all left-out examples."""
        return np.array([score for image in self.left_out for score in image.examples])

    def cut(self, alarms: float, *, otherwise: float) -> float:
        """Predicted IoU above which no source has more than `alarms` false findings on an image.

        Raised to the middle between that and the lowest left-out example above it, which loses none of them.
        otherwise: where there is no evidence; of few images with examples, a single finding is let pass
        """
        allowed = [
            (self.kept, int(SHOWN * alarms * len(self.kept))),
            (self.good, int(alarms * len(self.good))),
            ([image.false for image in self.left_out], max(1, int(alarms * len(self.left_out)))),
        ]
        lowest = max((next_score(images, number) for images, number in allowed), default=-np.inf)
        if not np.isfinite(lowest):
            lowest = otherwise
        above = self.examples[self.examples > lowest]
        return float((lowest + above.min()) / 2) if len(above) else float(lowest) + MARGIN

    def threshold(self, cut: float, *, confidence: float, tuned: bool) -> ClassThreshold:
        """Counts at a threshold. confidence: that a region has there; tuned: whether the row is"""
        without = [int((scores >= cut).sum()) for scores in (*self.kept, *self.good)]
        return ClassThreshold(
            confidence=confidence,
            found=int((self.examples >= cut).sum()),
            left_out=len(self.examples),
            false_left_out=sum(int((image.false >= cut).sum()) for image in self.left_out),
            left_out_images=len(self.left_out),
            false=sum(without),
            alarmed=sum(number > 0 for number in without),
            without=len(without),
            tuned=tuned,
        )


def next_score(images: Sequence[Floats], number: int) -> float:
    """Highest score of all images but the `number` first; −∞ where there are no more."""
    scores = np.sort(np.concatenate([np.zeros(0), *images]))[::-1]
    return float(scores[number]) if len(scores) > number else -np.inf


def found_on(row: Floats, image: ImageRegions, settings: TlsddSettings) -> tuple[Floats, Floats]:
    """Boxes [N, 4] of a class on an image, and their scores [N], the surest first. row: [Z, 5]"""
    extended = np.concatenate([image.features, np.ones_like(image.features[:, :1])], axis=1)
    scores = extended @ row[:, 0]
    boxes, kept = findings(image.boxes, extended, row, scores, size=UNIT, settings=settings)
    return boxes, scores[kept]


def left_out_on(row: Floats, image: ImageRegions, settings: TlsddSettings) -> LeftOut:
    """Findings on an image of examples by a row [Z, 5] that was made without it."""
    boxes, scores = found_on(row, image, settings)
    overlaps = box_iou(boxes, image.examples)  # [N, n]
    surest = np.where(overlaps >= FOUND_IOU, scores[:, None], -np.inf).max(axis=0, initial=-np.inf)
    return LeftOut(tuple(surest.tolist()), scores[overlaps.max(axis=1, initial=0) < FALSE_IOU])
