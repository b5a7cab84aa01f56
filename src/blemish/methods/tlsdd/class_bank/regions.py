"""Regions about the examples of a class, and those of an image that added classes are looked for in.

Letters: R regions, F features, n examples on an image.
"""

from __future__ import annotations

from dataclasses import dataclass

from blemish.arrays import Boxes, Floats
from blemish.methods.tlsdd.class_bank.closed_form import Moments
from blemish.methods.tlsdd.runtime.anchors import box_deltas
from blemish.methods.tlsdd.runtime.enrolled_rows import DELTA_WEIGHTS
from blemish.regions.boxes import box_iou


@dataclass(frozen=True)
class ExampleRegions:
    """Regions of an example's image.

    features: [R, F]; iou: [R], the highest with an example; deltas: [R, 4], to that example
    """

    features: Floats
    iou: Floats
    deltas: Boxes

    @property
    def moments(self) -> Moments:
        """Means over the regions, for the closed form."""
        return Moments.of_examples(self.features, self.iou, self.deltas)


@dataclass(frozen=True)
class ImageRegions:
    """Regions of an image that added classes are looked for in. Boxes are in shares of its sides.

    features: [R, F]; boxes: [R, 4]; examples: [n, 4], boxes of the class on it
    """

    features: Floats
    boxes: Boxes
    examples: Boxes

    @property
    def labelled(self) -> ExampleRegions:
        """Regions with their IoU with an example, and deltas to it. Needs an example."""
        overlaps = box_iou(self.boxes, self.examples)
        deltas = box_deltas(self.boxes, self.examples[overlaps.argmax(axis=1)], DELTA_WEIGHTS)
        return ExampleRegions(self.features, overlaps.max(axis=1), deltas)
