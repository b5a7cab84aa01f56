"""The layout of Apple's Create ML: a JSON list of images, each with boxes given by centre and size in pixels.

Source: https://developer.apple.com/documentation/createml/building-an-object-detector-data-source.
"""

from __future__ import annotations

from typing import Any

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import listed, number, record, text_of
from blemish.dataset.layouts.shapes import rectangle
from blemish.dataset.layouts.tools import files_of, written_by
from blemish.dataset.samples import Annotation
from blemish.untrusted import read_json


def detect(tree: Tree) -> str | None:
    """A JSON file of Create ML."""
    file = written_by(tree, "createml")
    return f"{file} is a JSON file of Create ML" if file else None


def read(source: Source) -> Contents:
    files = files_of(source.tree, "createml")
    return read_entries(source, files, lambda file: entries_in(source, file), to_annotation)


def entries_in(source: Source, file: str) -> list[DescribedImage]:
    place = str(source.root / file)
    images = [record(image, place) for image in listed(read_json(source.root / file), place)]
    return [entry_of(image, file, f"{place}: entry {number}") for number, image in enumerate(images, start=1)]


def entry_of(image: Any, file: str, place: str) -> DescribedImage:
    name = text_of(image.get("image", image.get("imagefilename")), f"{place}: image")
    marks = image.get("annotations", image.get("annotation"))
    return DescribedImage(file, name, tuple(listed(marks, f"{place}: annotations")))


def to_annotation(mark: Any, place: str, size: Size) -> Annotation:
    item = record(mark, place)
    box = record(item.get("coordinates"), f"{place}: coordinates")
    x, y, width, height = (number(box.get(key), f"{place}: {key}") for key in ("x", "y", "width", "height"))
    label = text_of(item.get("label"), f"{place}: label")
    return rectangle(label, (x - width / 2, y - height / 2), (x + width / 2, y + height / 2))
