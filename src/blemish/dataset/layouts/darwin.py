"""The V7 layout: Darwin JSON 2.0, a file an image, with polygons of one or more paths and boxes.

Several paths of a polygon are its parts and holes: a pixel counts where an odd number of them hold it.
Source: https://docs.v7labs.com/reference/darwin-json.
"""

from __future__ import annotations

from typing import Any

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree, join
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import declared_size, listed, number, record, refusal, text_of
from blemish.dataset.layouts.shapes import CannotHoldError, ellipse, rectangle, rings
from blemish.dataset.layouts.tools import files_of, written_by
from blemish.dataset.samples import Annotation
from blemish.untrusted import read_json


def detect(tree: Tree) -> str | None:
    """JSON files of V7, Darwin 2.0."""
    file = written_by(tree, "v7")
    return f"{file} is a Darwin JSON file of V7" if file else None


def read(source: Source) -> Contents:
    files = files_of(source.tree, "v7", per_image=True)
    return read_entries(source, files, lambda file: [entry_in(source, file)], to_annotation)


def entry_in(source: Source, file: str) -> DescribedImage:
    place = str(source.root / file)
    content = record(read_json(source.root / file), place)
    item = record(content.get("item"), f"{place}: item")
    slots = [record(slot, place) for slot in listed(item.get("slots", []), f"{place}: slots")]
    if len(slots) > 1 or str(content.get("version", "2.0")).partition(".")[0] != "2":
        raise refusal(place, "be Darwin 2.0 about one image", f"{len(slots)} slots, {content.get('version')}")
    marks = [record(mark, place) for mark in listed(content.get("annotations"), f"{place}: annotations")]
    slot = slots[0] if slots else {}
    return DescribedImage(
        file,
        join(str(item.get("path") or "").strip("/"), text_of(item.get("name"), f"{place}: name")),
        tuple(mark for mark in marks if "tag" not in mark),
        tuple(text_of(mark.get("name"), f"{place}: tag") for mark in marks if "tag" in mark),
        declared_size(slot.get("height"), slot.get("width"), place),
    )


def to_annotation(mark: Any, place: str, size: Size) -> Annotation:
    label = text_of(mark.get("name"), f"{place}: name")
    if "polygon" in mark:
        paths = listed(record(mark["polygon"], place).get("paths"), f"{place}: paths")
        return rings(label, [[point_of(p, place) for p in listed(path, place)] for path in paths], size)
    if "ellipse" in mark and not record(mark["ellipse"], place).get("angle"):
        centre, radius = (point_of(mark["ellipse"].get(key), place) for key in ("center", "radius"))
        return ellipse(label, centre, radius)
    if "bounding_box" in mark and "mask" not in mark:
        box = record(mark["bounding_box"], place)
        left, top, width, height = (number(box.get(k), f"{place}: {k}") for k in ("x", "y", "w", "h"))
        return rectangle(label, (left, top), (left + width, top + height))
    known = ", ".join(key for key in mark if isinstance(mark[key], dict))
    raise CannotHoldError(f"a shape of '{known}' is not read; export COCO from V7 instead")


def point_of(value: Any, place: str) -> tuple[float, float]:
    point = record(value, f"{place}: point")
    return number(point.get("x"), f"{place}: x"), number(point.get("y"), f"{place}: y")
