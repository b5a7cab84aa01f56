"""True defects of an image, drawn from its annotations. One without a pixel is a label without a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blemish.dataset.masks import Instance, defect_instances
from blemish.dataset.samples import Annotation, Sample
from blemish.evaluation.records import ImageRecord


def with_places(sample: Sample, size: tuple[int, int]) -> tuple[Sample, list[Instance]]:
    """The sample and its defects; an annotation whose mask or outline has no pixel becomes a mere label.

    Its image is defective all the same, in an unknown place. size: (height, width)
    """
    numbered = [replace(mark, id=str(number)) for number, mark in enumerate(sample.annotations)]
    instances = defect_instances(replace(sample, annotations=tuple(numbered)), size)
    found = {instance.id.partition("-")[0] for instance in instances}
    lost = {mark.id for mark in numbered if mark.has_place and mark.id not in found}
    if not lost:
        return sample, instances
    marks = zip(sample.annotations, numbered, strict=True)
    annotations = tuple(Annotation(mark.label, id=mark.id) if n.id in lost else mark for mark, n in marks)
    return replace(sample, annotations=annotations), instances


def sentences_on_lost_places(records: Sequence[ImageRecord]) -> tuple[str, ...]:
    """Sentence on annotations whose mask or outline has no pixel; nothing where all have some."""
    lost = [record.sample for record in records if record.lost_places]
    if not lost:
        return ()
    number = sum(record.lost_places for record in records)
    return (
        f"{number} {'annotation has' if number == 1 else 'annotations have'} a mask or outline without a "
        f"pixel, first in {lost[0].id}: the image counts as defective, in an unknown place.",
    )
