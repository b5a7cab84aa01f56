"""Writing Pascal VOC: `JPEGImages/`, `Annotations/*.xml`, `ImageSets/Main/*.txt`. It holds boxes.

VOC corners count pixels from 1 and are inclusive: half-open (x1, y1, x2, y2) is written (x1+1, y1+1, x2, y2).
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from blemish.arrays import Box
from blemish.dataset.convert.common import (
    boxes_of,
    copy_image,
    flat_names,
    losses,
    number_text,
    refuse,
    write_settings,
    write_split_lists,
)
from blemish.dataset.samples import Dataset, Sample
from blemish.files import write_atomically
from blemish.images.decode import image_size


def write(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset; returns warnings. Raises BlemishError for image labels."""
    refuse(dataset, "voc", lambda annotation: not annotation.has_place, "image labels")
    names = flat_names(dataset)
    for sample in dataset:
        name = names[sample.id]
        copy_image(sample.image, out / "JPEGImages" / name)
        xml = annotation_xml(sample, name)
        write_atomically(out / "Annotations" / f"{PurePosixPath(name).stem}.xml", xml)
    write_split_lists(out / "ImageSets" / "Main", dataset, lambda s: PurePosixPath(names[s.id]).stem)
    write_settings(out, dataset, {"layout": "voc", "classes": list(dataset.class_names)})
    return losses(dataset, "voc", outlines=False)


def annotation_xml(sample: Sample, name: str) -> str:
    height, width = image_size(sample.image)
    root = ElementTree.Element("annotation")
    add(root, "folder", "JPEGImages")
    add(root, "filename", name)
    size = add(root, "size")
    add(size, "width", str(width))
    add(size, "height", str(height))
    for label, box in boxes_of(sample, (height, width)):
        add_object(root, label, box)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def add_object(root: ElementTree.Element, label: str, box: Box) -> None:
    item = add(root, "object")
    add(item, "name", label)
    add(item, "difficult", "0")
    corners = add(item, "bndbox")
    left, top, right, bottom = box
    for key, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
        add(corners, key, number_text(value))


def add(parent: ElementTree.Element, tag: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag)
    element.text = text
    return element
