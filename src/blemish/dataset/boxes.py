"""Boxes of all annotated defects, each with an id of its own: what detectors learn from.

Outlines give their bounding boxes, a mask file one for each of its regions; boxes are cut to their image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from blemish.arrays import Box, Size
from blemish.dataset.ignored import counted, is_ignored
from blemish.dataset.masks import Instance, defect_instances
from blemish.dataset.samples import Sample

SPECK = 3  # pixels: a mask's smaller regions are slips of the brush where it has a larger one


@dataclass(frozen=True)
class Boxed:
    """A boxed defect, or region of defects. box_xyxy: pixels, half-open, not empty, inside its image

    id: unique in its dataset
    """

    label: str
    box_xyxy: Box
    id: str


@dataclass(frozen=True)
class ImageBoxes:
    """Boxes of an image, and a line on each that was cut, left out or covers everything.

    ignored: of crowd and difficult regions, which are neither defects to learn from nor surface
    """

    boxes: tuple[Boxed, ...]
    notes: tuple[str, ...] = ()
    ignored: tuple[Boxed, ...] = ()


def boxed_instances(sample: Sample, size: Size) -> list[Boxed]:
    """Boxes of an image of `size` (height, width); image labels, empty masks, ignored regions give none."""
    return list(cleaned_boxes(sample, size).boxes)


def cleaned_boxes(sample: Sample, size: Size) -> ImageBoxes:
    """Boxes of an image with notes; a box is cut to its image, and left out where nothing of it remains.

    An id is "<sample id>#<annotation's id, or its number from 0>", with "-<number from 1>" for each region
    of a mask file that has several; of those, specks are left out. Of equal annotations the first counts.
    """
    marked = named(sample)
    ignored = replace(marked, annotations=tuple(filter(is_ignored, marked.annotations)))
    found = boxes_of(counted(marked), size)
    regions = boxes_of(ignored, size) if ignored.annotations else found
    return replace(found, ignored=regions.boxes) if regions is not found else found


def boxes_of(marked: Sample, size: Size) -> ImageBoxes:
    """Boxes of all annotations of a sample, whose ids are given."""
    instances = defect_instances(marked, size)
    specks = specks_among(instances, {annotation.id for annotation in marked.annotations})
    placed = [
        (instance, None if instance.id in specks else cut(instance.box_xyxy, size)) for instance in instances
    ]
    boxes = tuple(Boxed(instance.label, box, instance.id) for instance, box in placed if box is not None)
    notes = (remark(instance, size, speck=instance.id in specks) for instance in instances)
    return ImageBoxes(boxes, tuple(note for note in notes if note))


def named(sample: Sample) -> Sample:
    """The sample with an id on each of its annotations."""
    annotations = (
        replace(annotation, id=f"{sample.id}#{annotation.id or number}")
        for number, annotation in enumerate(sample.annotations)
    )
    return replace(sample, annotations=tuple(annotations))


def specks_among(instances: Sequence[Instance], whole: set[str]) -> set[str]:
    """Ids of regions below 3 pixels beside a larger one of the same mask. whole: ids of annotations"""
    regions = {instance.id: instance for instance in instances if instance.id not in whole}
    large = {name.rpartition("-")[0] for name, region in regions.items() if longer_side(region) >= SPECK}
    return {
        name
        for name, region in regions.items()
        if longer_side(region) < SPECK and name.rpartition("-")[0] in large
    }


def longer_side(instance: Instance) -> float:
    left, top, right, bottom = instance.box_xyxy
    return max(right - left, bottom - top)


def cut(box_xyxy: Box, size: Size) -> Box | None:
    """The part of the box inside the image; None where it has no area."""
    height, width = size
    left, top, right, bottom = box_xyxy
    inside = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    return inside if inside[0] < inside[2] and inside[1] < inside[3] else None


def remark(instance: Instance, size: Size, *, speck: bool) -> str:
    """Line for the user about a box; "" where it is as it should be."""
    height, width = size
    inside = cut(instance.box_xyxy, size)
    corners = ", ".join(f"{value:g}" for value in instance.box_xyxy)
    what = f"box ({corners}) of '{instance.label}' in {instance.id}, {width}×{height} pixels,"
    if inside is None:
        return f"{what} is left out: none of its area lies in the image"
    if speck:
        return f"{what} is left out: a speck beside a larger region"
    if inside == (0, 0, width, height):
        return f"{what} covers the whole image"
    return f"{what} is cut to the image" if inside != instance.box_xyxy else ""
