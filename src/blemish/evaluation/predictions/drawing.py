"""Predicted outlines as pixels and as measured defects. Shape letters: H, W."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.masks import Instance, defect_instances
from blemish.dataset.samples import Annotation, Sample
from blemish.defect import Defect
from blemish.regions.filled_boxes import defect_of_box
from blemish.regions.region import Region, defect_of


def pixels_of(outline: Annotation, sample: Sample, size: tuple[int, int]) -> Instance | None:
    """Outline as an instance with its pixels; None where it holds none. size: (height, width) of the image

    Raises BlemishError for run lengths of another size, or that do not fill it.
    """
    return next(iter(defect_instances(replace(sample, annotations=(outline,)), size)), None)


def measured(instance: Instance, confidence: float) -> Defect:
    """Predicted place as a measured defect: by its pixels, or by its box where it has none."""
    if instance.mask is None:
        return defect_of_box(instance.box_xyxy, instance.label, confidence)
    left, top = int(instance.box_xyxy[0]), int(instance.box_xyxy[1])
    no_values = np.zeros(0, np.float32)
    return defect_of(Region(instance.mask, (left, top), no_values), instance.label, confidence)


def numbered(instances: Sequence[Instance | None], size: tuple[int, int]) -> NDArray[np.int32]:
    """Map [H, W] with i + 1 on the pixels of instances[i], else 0; where they overlap, the first counts."""
    numbers = np.zeros(size, np.int32)
    for number, instance in reversed(list(enumerate(instances, start=1))):
        if instance is not None and instance.mask is not None:
            left, top, right, bottom = (int(edge) for edge in instance.box_xyxy)
            numbers[top:bottom, left:right][instance.mask] = number
    return numbers
