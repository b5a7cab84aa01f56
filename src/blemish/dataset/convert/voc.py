"""Writing Pascal VOC: `JPEGImages/`, `Annotations/*.xml`, `ImageSets/Main/*.txt`. It holds boxes.

VOC corners count pixels from 1 and are inclusive: half-open (x1, y1, x2, y2) is written (x1+1, y1+1, x2, y2).
A crowd is written as difficult, which VOC's evaluation ignores as COCO's does a crowd.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from blemish.arrays import Box, Size
from blemish.dataset.convert.common import (
    boxes_of,
    copy_image,
    crowds,
    losses,
    number_text,
    write_settings,
    write_split_lists,
)
from blemish.dataset.convert.names import flat_names, renamed
from blemish.dataset.samples import Annotation, Dataset
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.decode import image_size

NOT_OF_XML = re.compile("[^\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset; returns warnings. Raises BlemishError for class names that XML cannot hold."""
    refuse_names(dataset)
    names, widened = flat_names(dataset, spaces=False), 0
    for sample in dataset:
        name = names[sample.id]
        copy_image(sample.image, out / "JPEGImages" / name)
        size = image_size(sample.image)
        boxes = boxes_of(sample, size)
        widened += sum(a_pixel_at_least(box, size) != box for _, box in boxes)
        xml = annotation_xml(name, boxes, size)
        write_atomically(out / "Annotations" / f"{PurePosixPath(name).stem}.xml", xml)
    write_split_lists(out / "ImageSets" / "Main", dataset, lambda s: PurePosixPath(names[s.id]).stem)
    write_settings(out, dataset, {"layout": "voc", "classes": list(dataset.class_names)})
    lines = [f"voc has boxes of a pixel at least: {widened} are widened to that"] if widened else []
    return [*losses(dataset, "voc", outlines=False), *crowds(dataset, "voc"), *lines, *renamed(names)]


def refuse_names(dataset: Dataset) -> None:
    for name in dataset.class_names:
        if NOT_OF_XML.search(name) or name != name.strip():
            raise BlemishError(
                "voc must have class names without control characters and blanks at their ends. Received: "
                f"{name!r}. Rename it with 'classes' in dataset.yaml, or convert to 'coco'."
            )


def annotation_xml(name: str, boxes: Sequence[tuple[Annotation, Box]], size: Size) -> str:
    height, width = size
    root = ElementTree.Element("annotation")
    add(root, "folder", "JPEGImages")
    add(root, "filename", name)
    sides = add(root, "size")
    add(sides, "width", str(width))
    add(sides, "height", str(height))
    for annotation, box in boxes:
        add_object(root, annotation, box, size)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def add_object(root: ElementTree.Element, annotation: Annotation, box: Box, size: Size) -> None:
    item = add(root, "object")
    add(item, "name", annotation.label)
    add(item, "difficult", str(int(annotation.difficult or annotation.crowd)))
    corners = add(item, "bndbox")
    left, top, right, bottom = a_pixel_at_least(box, size)
    for key, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
        add(corners, key, number_text(value))


def a_pixel_at_least(box: Box, size: Size) -> Box:
    """The box widened to a pixel in the image: inclusive corners make a narrower one end before it begins."""
    left, top, right, bottom = box
    height, width = size
    left, right = (left, right) if right - left >= 1 else (min(left, width - 1), min(left, width - 1) + 1)
    top, bottom = (top, bottom) if bottom - top >= 1 else (min(top, height - 1), min(top, height - 1) + 1)
    return left, top, right, bottom


def add(parent: ElementTree.Element, tag: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag)
    element.text = text
    return element
