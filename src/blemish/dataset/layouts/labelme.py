"""The labelme layout: a JSON file an image, beside it or in a folder of its own, with shapes in pixels.

The image embedded in a file (`imageData`) is not read. Polygons of one `group_id` are parts of one defect,
as in labelme's own COCO export. Source: https://github.com/wkentaro/labelme; X-AnyLabeling writes it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree, stem
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import declared_size, listed, number, pairs_of, record, refusal, text_of
from blemish.dataset.layouts.label_names import says_state
from blemish.dataset.layouts.shapes import (
    CannotHoldError,
    ellipse,
    placed,
    polygon,
    rectangle,
    unpacked_bitmap,
)
from blemish.dataset.layouts.tools import files_of, written_by
from blemish.dataset.samples import Annotation
from blemish.errors import BlemishError
from blemish.untrusted import read_json

BY_MODEL = "all its shapes have a confidence, so that a model drew them; read as truth"


def detect(tree: Tree) -> str | None:
    """JSON files of labelme, with shapes, beside images."""
    file = written_by(tree, "labelme")
    return f"{file} is a JSON file of labelme" if file else None


def read(source: Source) -> Contents:
    files = files_of(source.tree, "labelme", per_image=True)
    return read_entries(source, files, lambda file: [entry_in(source, file)], to_annotation)


def entry_in(source: Source, file: str) -> DescribedImage:
    place = str(source.root / file)
    content = record(read_json(source.root / file), place)
    shapes = [record(shape, place) for shape in listed(content.get("shapes"), f"{place}: shapes")]
    flags = [name for name, value in record(content.get("flags") or {}, place).items() if value is True]
    known = [name for name in flags if says_state(name, source.settings)]
    doubts = [f"its flag '{name}' is not read" for name in flags if name not in known]
    doubts += [BY_MODEL] if shapes and all(map(is_predicted, shapes)) else []
    return DescribedImage(
        file,
        image_name(source, file, content),
        tuple(joined(shapes, place)),
        tuple(known),
        declared_size(content.get("imageHeight"), content.get("imageWidth"), place),
        doubts=tuple(doubts),
    )


def is_predicted(shape: Mapping[str, Any]) -> bool:
    """True for a shape with a confidence, as `Inspection.to_labelme` and X-AnyLabeling's models give it."""
    return shape.get("score") is not None or str(shape.get("description")).startswith("confidence ")


def image_name(source: Source, file: str, content: Mapping[str, Any]) -> str:
    """The image that a file names, or the one of its own name. Raises BlemishError where both are there."""
    named = str(content.get("imagePath") or "").replace("\\", "/")
    own = source.tree.by_stem.get(stem(file)) or source.tree.by_name.get(stem(file))
    last = named.rpartition("/")[2]
    if not own or stem(last) == stem(file) or last == stem(file):
        return text_of(named, f"{source.root / file}: imagePath")
    if last in source.tree.by_name:
        raise BlemishError(
            f"{source.root / file} must be about one image. Received: '{last}' inside, and {own[0]} of its "
            "own name. Correct imagePath or rename the file."
        )
    return stem(file)


def joined(shapes: Sequence[Mapping[str, Any]], place: str) -> list[list[Mapping[str, Any]]]:
    """Shapes, each in a list of its own; polygons of one label and group_id in one list."""
    groups: dict[object, list[Mapping[str, Any]]] = {}
    for position, shape in enumerate(shapes):
        group, is_polygon = shape.get("group_id"), shape.get("shape_type", "polygon") == "polygon"
        single = group is None or not is_polygon or not isinstance(group, int | str)
        key = position if single else (text_of(shape.get("label"), f"{place}: label"), group)
        groups.setdefault(key, []).append(shape)
    return list(groups.values())


def to_annotation(shapes: Sequence[Mapping[str, Any]], place: str, size: Size) -> Annotation:
    parts = [one_shape(shape, place, size) for shape in shapes]
    difficult = any(shape.get("difficult") is True for shape in shapes)
    if len(parts) == 1:
        return replace(parts[0], difficult=difficult)
    polygons = tuple(polygon for part in parts for polygon in part.polygons)
    return Annotation(parts[0].label, polygons=polygons, difficult=difficult)


def one_shape(shape: Mapping[str, Any], place: str, size: Size) -> Annotation:
    label = text_of(shape.get("label"), f"{place}: label")
    kind, points = shape.get("shape_type") or "polygon", pairs_of(shape.get("points"), f"{place}: points")
    if kind in ("polygon", "rotation", "quadrilateral"):
        return polygon(label, points)
    if (
        kind == "rectangle"
        and len(points) == 4
        and max(len({x for x, _ in points}), len({y for _, y in points})) > 2
    ):
        return polygon(label, points)
    if kind not in ("rectangle", "circle", "mask"):
        raise CannotHoldError(f"a shape of type '{kind}' has no area")
    if len(points) != (4 if kind == "rectangle" and len(points) == 4 else 2):
        raise refusal(f"{place}: {kind}", "have two points", points)
    first, second = points[0], points[2] if len(points) == 4 else points[1]
    if kind == "rectangle":
        return rectangle(label, first, second)
    if kind == "circle":
        radius = ((first[0] - second[0]) ** 2 + (first[1] - second[1]) ** 2) ** 0.5
        return ellipse(label, first, (radius, radius))
    bitmap = unpacked_bitmap(shape.get("mask") or "", place, compressed=False)
    return placed(label, bitmap, (number(first[0], place), number(first[1], place)), size)
