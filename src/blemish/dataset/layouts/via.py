"""The layout of the VGG Image Annotator, version 2 (and 1): JSON of a project or of its annotations, or CSV.

The class is the region attribute; where there are several, `label_key:` of dataset.yaml names the one.
Source: https://www.robots.ox.ac.uk/~vgg/software/via/.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree
from blemish.dataset.layouts.entries import DescribedImage, image_of, read_entries
from blemish.dataset.layouts.fields import listed, number, record, refusal, table, text_of
from blemish.dataset.layouts.shapes import CannotHoldError, ellipse, polygon, rectangle
from blemish.dataset.layouts.tools import files_of, written_by
from blemish.dataset.samples import Annotation
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.untrusted import read_json, regular_file

OTHER_BYTES = "not of the file size that VIA noted; was it changed since?"
NO_CLASS = "marked without a class, which becomes 'defect'"
Region = Mapping[str, Any]


def detect(tree: Tree) -> str | None:
    """A JSON or CSV file of VIA, the VGG Image Annotator."""
    file = written_by(tree, "via")
    return f"{file} is a file of the VGG Image Annotator" if file else None


def read(source: Source) -> Contents:
    return read_entries(
        source, files_of(source.tree, "via"), lambda file: entries_in(source, file), to_annotation
    )


def entries_in(source: Source, file: str) -> list[DescribedImage]:
    """Entries of a file, whose shapes are pairs of label and shape attributes."""
    path = source.root / file
    images = csv_images(source, file) if file.lower().endswith(".csv") else json_images(source, file)
    regions = [region for _, _, found in images for region in found]
    key = class_key(regions, source, str(path))
    entries = []
    for name, size, found in images:
        shapes = [(label_of(region, key, f"{path}: {name}"), region) for region in found]
        entry = DescribedImage(file, name, tuple(shapes))
        doubts = [OTHER_BYTES] if other_bytes(source, entry, size) else []
        doubts += [NO_CLASS] if found and not key else []
        entries.append(DescribedImage(file, name, tuple(shapes), doubts=tuple(doubts)))
    return entries


def json_images(source: Source, file: str) -> list[tuple[str, object, list[Region]]]:
    """Name, file size and regions of every image."""
    path = source.root / file
    content = record(read_json(path), str(path))
    content = record(content.get("_via_img_metadata", content), f"{path}: _via_img_metadata")
    images = []
    for key, value in content.items():
        image = record(value, f"{path}: {key}")
        name = text_of(image.get("filename"), f"{path}: {key}: filename")
        regions = image.get("regions")
        found = (
            list(regions.values())
            if isinstance(regions, dict)
            else listed(regions, f"{path}: {name}: regions")
        )
        images.append((name, image.get("size"), [record(region, f"{path}: {name}") for region in found]))
    return images


def csv_images(source: Source, file: str) -> list[tuple[str, object, list[Region]]]:
    """Images of a CSV file, which has a line for each region, and one for an image without any."""
    images: dict[str, tuple[str, object, list[Region]]] = {}
    for place, row in table(source.root / file):
        name = text_of(row.get("filename"), f"{place}: filename")
        regions = images.setdefault(name, (name, row.get("file_size"), []))[2]
        shape = parsed(row.get("region_shape_attributes") or "{}", place)
        attributes = parsed(row.get("region_attributes") or "{}", place)
        if shape:
            regions.append({"shape_attributes": shape, "region_attributes": attributes})
    return list(images.values())


def parsed(text: str, place: str) -> Mapping[str, Any]:
    try:
        return record(json.loads(text), place)
    except (ValueError, RecursionError) as error:
        raise refusal(place, "hold attributes as JSON", text) from error


def class_key(regions: Sequence[Region], source: Source, place: str) -> str:
    """Attribute that holds the class; "" where no region has any.

    Raises BlemishError for several, of which the settings name none.
    """
    keys = dict.fromkeys(key for region in regions for key in record(region.get("region_attributes"), place))
    wanted = source.settings.label_key
    if wanted in keys or len(keys) < 2:
        return wanted if wanted in keys and wanted is not None else next(iter(keys), "")
    raise BlemishError(
        f"{place}: the regions must have one attribute, their class. Received: {', '.join(keys)}. "
        f"Put 'label_key: {next(iter(keys))}', or another of them, into {SETTINGS_NAME}."
    )


def label_of(region: Region, key: str, place: str) -> str:
    """Class of a region: the attribute's text, or of a check box the one that is ticked."""
    if not key:
        return "defect"
    value = record(region.get("region_attributes"), place).get(key)
    ticked: Iterable[str] = [name for name, on in value.items() if on] if isinstance(value, dict) else []
    if isinstance(value, dict) and len([*ticked]) != 1:
        raise refusal(f"{place}: {key}", "have one class for a region", value)
    return text_of(next(iter(ticked), value), f"{place}: {key}")


def other_bytes(source: Source, entry: DescribedImage, noted: object) -> bool:
    """Tell whether an image is not of the file size that VIA noted when it was annotated."""
    if not str(noted).isdigit() or not (match := image_of(source.tree, entry)):
        return False
    return regular_file(source.root / match.path).stat().st_size != int(str(noted))


def to_annotation(shape: tuple[str, Region], place: str, size: Size) -> Annotation:
    label, region = shape
    values = record(region.get("shape_attributes"), f"{place}: shape_attributes")

    def value(name: str) -> float:
        return number(values.get(name), f"{place}: {name}")

    kind = values.get("name")
    if kind == "rect":
        left, top = value("x"), value("y")
        return rectangle(label, (left, top), (left + value("width"), top + value("height")))
    if kind == "polygon":
        across, down = (
            listed(values.get(key), f"{place}: {key}") for key in ("all_points_x", "all_points_y")
        )
        if len(across) != len(down):
            raise refusal(f"{place}: polygon", "have as many x as y", (len(across), len(down)))
        return polygon(
            label, [(number(x, place), number(y, place)) for x, y in zip(across, down, strict=True)]
        )
    if kind == "circle":
        return ellipse(label, (value("cx"), value("cy")), (value("r"), value("r")))
    if kind == "ellipse":
        if values.get("theta"):
            raise CannotHoldError("versions of VIA differ in how they turn an ellipse; draw a polygon")
        return ellipse(label, (value("cx"), value("cy")), (value("rx"), value("ry")))
    raise CannotHoldError(f"a shape of type '{kind}' has no area")
