"""Annotations that are ignored, and annotations given twice: which marks of a sample count, and which do not.

A crowd region (COCO's `iscrowd`) stands for many defects that were not marked singly, a difficult one (VOC's
`difficult`) for a defect that even a person can hardly tell. Neither is to be found, and neither is surface.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from blemish.arrays import Box, Size
from blemish.dataset.masks import Instance, defect_instances
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError


def is_ignored(annotation: Annotation) -> bool:
    """True for a crowd or difficult region with a place; without one there is nothing to leave out."""
    return (annotation.crowd or annotation.difficult) and annotation.has_place


def counted(sample: Sample) -> Sample:
    """The sample with the annotations that count: without ignored regions, and each place of a class once."""
    kept = tuple(mark for mark in without_repeats(sample.annotations) if not is_ignored(mark))
    return sample if len(kept) == len(sample.annotations) else replace(sample, annotations=kept)


def ignored_marks(sample: Sample) -> tuple[Annotation, ...]:
    """Ignored regions of a sample, each once."""
    return tuple(mark for mark in without_repeats(sample.annotations) if is_ignored(mark))


def ignored_instances(sample: Sample, size: Size) -> list[tuple[Instance, Annotation]]:
    """Ignored regions of a sample, drawn, each with its annotation. size: (height, width) of the image"""
    return [
        (instance, mark)
        for mark in ignored_marks(sample)
        for instance in defect_instances(replace(sample, annotations=(mark,)), size)
    ]


def is_outlined(sample: Sample) -> bool:
    """True where every mark that counts has an outline; a clean image has none to miss."""
    return all(mark.has_outline for mark in sample.annotations if not is_ignored(mark))


def is_doubtful(sample: Sample) -> bool:
    """True where all marks are difficult, so that the image is neither surely defective nor clean."""
    return bool(sample.annotations) and all(mark.difficult and not mark.crowd for mark in sample.annotations)


def without_repeats(annotations: Iterable[Annotation]) -> tuple[Annotation, ...]:
    """Annotations without those that mark the very place of an earlier one as the same class."""
    first: dict[Annotation, Annotation] = {}
    for mark in annotations:
        first.setdefault(replace(mark, id="", contrast=None), mark)
    return tuple(first.values())


def sentences_on_ignored(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Sentences on crowd and difficult regions and on repeated annotations; none where there are none."""
    samples = tuple(samples)
    marks = [ignored_marks(sample) for sample in samples]
    crowds = sum(mark.crowd for of_image in marks for mark in of_image)
    difficult = sum(map(len, marks)) - crowds
    doubtful = sum(map(is_doubtful, samples))
    repeats = sum(len(s.annotations) - len(without_repeats(s.annotations)) for s in samples)
    said = []
    kinds = [regions(n, kind) for n, kind in ((crowds, "crowd"), (difficult, "difficult")) if n]
    if kinds:
        said.append(
            f"{' and '.join(kinds)} in {images(sum(map(bool, marks)))} are ignored: what is found there is "
            "neither right nor wrong."
        )
    if doubtful:
        said.append(
            f"Images with difficult defects alone: {doubtful}. They are neither clean nor defective, and in "
            "no figure of images."
        )
    if repeats:
        said.append(f"Equal annotations, of the same place and class as another: {repeats}. They count once.")
    return tuple(said)


def regions(count: int, kind: str) -> str:
    return f"{count} {kind} region" if count == 1 else f"{count} {kind} regions"


def images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def refuse_unusable_places(sample: Sample) -> None:
    """Raise BlemishError that names the image and the first box or outline that is no place in any image."""
    for number, mark in enumerate(sample.annotations):
        name = f"{sample.image}: annotation {mark.id or number} ('{mark.label}')"
        if mark.box_xyxy is not None and not is_box(mark.box_xyxy):
            raise BlemishError(
                f"{name} must have a box of finite numbers, its right and lower edge last. "
                f"Received: {', '.join(f'{edge:g}' for edge in mark.box_xyxy)}. Correct the annotation; "
                "`blemish data check` lists all such boxes."
            )
        corners = (value for polygon in mark.polygons for corner in polygon for value in corner)
        if not all(map(math.isfinite, corners)):
            raise BlemishError(
                f"{name} must have an outline of finite numbers. Received: NaN or infinity. Correct the "
                "annotation."
            )


def is_box(box_xyxy: Box) -> bool:
    left, top, right, bottom = box_xyxy
    return all(map(math.isfinite, box_xyxy)) and left <= right and top <= bottom
