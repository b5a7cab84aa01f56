"""The CVAT layout: `annotations.xml` of "CVAT for images 1.1", with boxes, outlines, ellipses and masks.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/. Boxes are turned about their centre. Tags hold
for the whole image. "CVAT for video" counts frames, not files, and is refused.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from blemish.arrays import Size
from blemish.dataset.layouts.common import SPLIT_OF_FOLDER, Contents, Source, Tree
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import declared_size, number, refusal, text_of
from blemish.dataset.layouts.shapes import (
    CannotHoldError,
    ellipse,
    placed,
    polygon,
    rows_unpacked,
    turned_rectangle,
)
from blemish.dataset.layouts.tools import files_of, written_by
from blemish.dataset.samples import Annotation
from blemish.errors import BlemishError
from blemish.untrusted import read_xml


def detect(tree: Tree) -> str | None:
    """An XML file of CVAT for images 1.1."""
    file = written_by(tree, "cvat")
    return f"{file} is an XML file of CVAT for images" if file else None


def read(source: Source) -> Contents:
    files, names = files_of(source.tree, "cvat"), dict[str, list[str]]()

    def entries_in(file: str) -> list[DescribedImage]:
        root = read_xml(source.root / file, max_bytes=2**30)
        refuse_video(root, f"{source.root / file}")
        names[file] = [
            name.strip() for label in root.iterfind("meta//label") if (name := label.findtext("name"))
        ]
        return [entry_of(image, source, file) for image in root.iterfind("image")]

    return read_entries(
        source,
        files,
        entries_in,
        to_annotation,
        class_names=lambda: [name for file in files for name in names.get(file, ())],
    )


def refuse_video(root: Element, place: str) -> None:
    if root.find("track") is not None:
        raise BlemishError(
            f"{place} must be of 'CVAT for images 1.1'. Received: tracks, as 'CVAT for video' has them. "
            "Export the task again as 'CVAT for images 1.1'."
        )


def entry_of(image: Element, source: Source, file: str) -> DescribedImage:
    name = text_of(image.get("name"), f"{source.root / file}: name of an image")
    place = f"{source.root / file}: {name}"
    return DescribedImage(
        file,
        name,
        tuple(shape for shape in image if shape.tag != "tag"),
        tuple(text_of(tag.get("label"), f"{place}: tag") for tag in image.iterfind("tag")),
        declared_size(image.get("height"), image.get("width"), place),
        SPLIT_OF_FOLDER.get((image.get("subset") or "").lower()),
    )


def to_annotation(shape: Element, place: str, size: Size) -> Annotation:
    label = text_of(shape.get("label"), f"{place}: label")

    def value(name: str, default: str | None = None) -> float:
        return number(shape.get(name, default), f"{place}: {name}")

    if shape.tag == "box":
        left, top, right, bottom = (value(name) for name in ("xtl", "ytl", "xbr", "ybr"))
        middle = ((left + right) / 2, (top + bottom) / 2)
        return turned_rectangle(
            label, (left, top), (right - left, bottom - top), value("rotation", "0"), middle
        )
    if shape.tag == "polygon":
        return polygon(label, points_of(shape, place))
    if shape.tag == "ellipse":
        return ellipse(label, (value("cx"), value("cy")), (value("rx"), value("ry")), value("rotation", "0"))
    if shape.tag == "mask":
        counts = [number(count, f"{place}: rle") for count in (shape.get("rle") or "").split(",")]
        extent = (int(value("height")), int(value("width")))
        mask = rows_unpacked(counts, extent, place)
        return placed(label, mask, (value("left"), value("top")), size)
    raise CannotHoldError(f"a shape of type '{shape.tag}' has no area")


def points_of(shape: Element, place: str) -> list[tuple[float, float]]:
    """Corners from "x,y;x,y"."""
    pairs = [pair.split(",") for pair in (shape.get("points") or "").split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise refusal(f"{place}: points", "be written as x,y;x,y", shape.get("points"))
    return [(number(x, f"{place}: points"), number(y, f"{place}: points")) for x, y in pairs]
