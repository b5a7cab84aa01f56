"""True defects of an image, drawn from its annotations.

One without a pixel of the image, as of an empty mask or a box outside, is a label without a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blemish.dataset.faults import box_fault
from blemish.dataset.masks import Instance, defect_instances
from blemish.dataset.samples import Annotation, Sample
from blemish.evaluation.records import ImageRecord


def with_places(sample: Sample, size: tuple[int, int]) -> tuple[Sample, list[Instance]]:
    """The sample and its defects; an annotation without a pixel in the image becomes a mere label.

    Its image is defective all the same, in an unknown place. size: (height, width)
    """
    numbered = [replace(mark, id=str(number)) for number, mark in enumerate(sample.annotations)]
    outside = {mark.id for mark in numbered if is_outside(mark, size)}
    drawn = tuple(mark for mark in numbered if mark.id not in outside)
    instances = defect_instances(replace(sample, annotations=drawn), size)
    found = {instance.id.partition("-")[0] for instance in instances}
    lost = {mark.id for mark in numbered if mark.has_place and mark.id not in found}
    if not lost:
        return sample, instances
    marks = zip(sample.annotations, numbered, strict=True)
    annotations = tuple(
        replace(mark, box_xyxy=None, polygons=(), mask=None) if n.id in lost else mark for mark, n in marks
    )
    return replace(sample, annotations=annotations), instances


def is_outside(mark: Annotation, size: tuple[int, int]) -> bool:
    """True for a box, without an outline, that has no area in the image."""
    return mark.box_xyxy is not None and not mark.has_outline and bool(box_fault(mark.box_xyxy, size))


def sentences_on_lost_places(records: Sequence[ImageRecord]) -> tuple[str, ...]:
    """Sentence on annotations that have no pixel in their image; nothing where all have some."""
    lost = [record.sample for record in records if record.lost_places]
    if not lost:
        return ()
    number = sum(record.lost_places for record in records)
    have = "annotation has" if number == 1 else "annotations have"
    return (
        f"{number} {have} a mask, outline or box without a pixel in the image, first in {lost[0].id}: "
        "the image counts as defective, in an unknown place.",
    )
