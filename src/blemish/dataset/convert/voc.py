"""Writing Pascal VOC: `JPEGImages/`, `Annotations/*.xml`, `ImageSets/Main/*.txt`. It holds boxes.

VOC corners count pixels from 1 and are inclusive: half-open (x1, y1, x2, y2) is written (x1+1, y1+1, x2, y2).
A crowd is written as difficult, which VOC's evaluation ignores as COCO's does a crowd.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from blemish.arrays import Box
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
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.decode import image_size

NOT_OF_XML = re.compile("[^\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset; returns warnings. Raises BlemishError for class names that XML cannot hold."""
    refuse_names(dataset)
    names = flat_names(dataset, spaces=False)
    for sample in dataset:
        name = names[sample.id]
        copy_image(sample.image, out / "JPEGImages" / name)
        xml = annotation_xml(sample, name)
        write_atomically(out / "Annotations" / f"{PurePosixPath(name).stem}.xml", xml)
    write_split_lists(out / "ImageSets" / "Main", dataset, lambda s: PurePosixPath(names[s.id]).stem)
    write_settings(out, dataset, {"layout": "voc", "classes": list(dataset.class_names)})
    return [*losses(dataset, "voc", outlines=False), *crowds(dataset, "voc"), *renamed(names)]


def refuse_names(dataset: Dataset) -> None:
    for name in dataset.class_names:
        if NOT_OF_XML.search(name) or name != name.strip():
            raise BlemishError(
                "voc must have class names without control characters and blanks at their ends. Received: "
                f"{name!r}. Rename it with 'classes' in dataset.yaml, or convert to 'coco'."
            )


def annotation_xml(sample: Sample, name: str) -> str:
    height, width = image_size(sample.image)
    root = ElementTree.Element("annotation")
    add(root, "folder", "JPEGImages")
    add(root, "filename", name)
    size = add(root, "size")
    add(size, "width", str(width))
    add(size, "height", str(height))
    for annotation, box in boxes_of(sample, (height, width)):
        add_object(root, annotation, box)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def add_object(root: ElementTree.Element, annotation: Annotation, box: Box) -> None:
    item = add(root, "object")
    add(item, "name", annotation.label)
    add(item, "difficult", str(int(annotation.difficult or annotation.crowd)))
    corners = add(item, "bndbox")
    left, top, right, bottom = box
    for key, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
        add(corners, key, number_text(value))


def add(parent: ElementTree.Element, tag: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag)
    element.text = text
    return element
