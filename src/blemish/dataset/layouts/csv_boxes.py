"""The layout of a CSV file of boxes: columns filename, class, xmin, ymin, xmax, ymax, in pixels.

Roboflow's "Tensorflow Object Detection" writes it as `_annotations.csv`. It lists defects alone, so an image
that it does not list is clean; a line without class and box says so of one image.
"""

from __future__ import annotations

from collections.abc import Mapping

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree
from blemish.dataset.layouts.csv_columns import CLASS_COLUMNS, IMAGE_COLUMNS, column, columns_of, csv_files
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import declared_size, number, refusal, table, text_of
from blemish.dataset.layouts.shapes import rectangle
from blemish.dataset.samples import Annotation

CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2"))


def detect(tree: Tree) -> str | None:
    """A CSV file with the columns filename, class, xmin, ymin, xmax, ymax."""
    file = next(iter(csv_files(tree, is_box_list)), None)
    return f"{file} lists boxes, one in a line" if file else None


def is_box_list(columns: set[str]) -> bool:
    named = columns & {*IMAGE_COLUMNS} and columns & {*CLASS_COLUMNS}
    return bool(named) and any(columns >= {*corners} for corners in CORNERS)


def read(source: Source) -> Contents:
    files = csv_files(source.tree, is_box_list, every=True)
    return read_entries(
        source, files, lambda file: entries_in(source, file), to_annotation, unlabelled="clean"
    )


def entries_in(source: Source, file: str) -> list[DescribedImage]:
    """Entries of a file, whose shapes are pairs of label and corners as text."""
    path = source.root / file
    columns = columns_of(source.tree, file)
    image, label = column(columns, IMAGE_COLUMNS, path), column(columns, CLASS_COLUMNS, path, source.settings)
    corners = next(corners for corners in CORNERS if columns >= {*corners})
    shapes: dict[str, list[tuple[str, list[str]]]] = {}
    sizes: dict[str, Size | None] = {}
    for place, row in table(path):
        name = text_of(row[image], f"{place}: {image}")
        found, values = shapes.setdefault(name, []), [row[corner] for corner in corners]
        size = declared_size(row.get("height"), row.get("width"), place) if has_size(row) else None
        if sizes.setdefault(name, size) != size:
            raise refusal(
                f"{place}: width and height", "be those of the other lines", f"{size}, {sizes[name]}"
            )
        for corner in (corner for corner in corners if any(values)):
            number(row[corner], f"{place}: {corner}")
        if row[label] or any(values):
            found.append((text_of(row[label], f"{place}: {label}"), values))
    refuse_shares(shapes, str(path))
    return [DescribedImage(file, name, tuple(found), declared=sizes[name]) for name, found in shapes.items()]


def has_size(row: Mapping[str, str]) -> bool:
    return bool(row.get("width") and row.get("height"))


def refuse_shares(shapes: Mapping[str, list[tuple[str, list[str]]]], place: str) -> None:
    """Raise BlemishError where all corners lie between 0 and 1, so that they are hardly pixels."""
    values = [number(v, place) for found in shapes.values() for _, corners in found for v in corners]
    if values and max(values) <= 1:
        raise refusal(f"{place}: corners", "be given in pixels", f"numbers up to {max(values):g}")


def to_annotation(shape: tuple[str, list[str]], place: str, size: Size) -> Annotation:
    label, corners = shape
    left, top, right, bottom = (number(value, place) for value in corners)
    if right < left or bottom < top:
        raise refusal(place, "have a left and upper corner before the others", ", ".join(corners))
    return rectangle(label, (left, top), (right, bottom))
