"""A frozen data set as a COCO folder, which every command of `blemish` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.station.bundle_rows import link_or_copy
from blemish.station.database.annotations import annotations_at
from blemish.station.database.datasets import SPLITS, items_of
from blemish.station.database.labels import AnnotationRow, DatasetItemRow, DefectClassRow
from blemish.station.database.parts import ImageRow
from blemish.station.layout import StationFolder
from blemish.station.shapes import (
    AnyShape,
    BoxShape,
    MaskShape,
    WholeImageShape,
    extent,
    restored,
    rings_of,
    whole_image_counts,
)


def write_coco(
    session: Session, folder: StationFolder, dataset_id: int, out: Path, *, splits: Sequence[str] = SPLITS
) -> None:
    """Write splits of a frozen data set: annotations/instances_SPLIT.json, and images/ as links or copies.

    Raises BlemishError where an image is not kept any more.
    """
    items = items_of(session, dataset_id, splits)
    marks = {item.image_id: annotations_at(session, item.image_id, item.annotation_version) for item in items}
    names = class_names(session, [row for rows in marks.values() for row in rows])
    for split in splits:
        of_split = [item for item in items if item.split == split]
        write_split(session, folder, out, split, of_split, marks, names)


def write_examples(session: Session, folder: StationFolder, rows: Sequence[AnnotationRow], out: Path) -> None:
    """Write annotations alone, and the images that they are on, as one COCO folder."""
    marks: dict[str, list[AnnotationRow]] = {}
    for row in rows:
        marks.setdefault(row.image_id, []).append(row)
    items = [
        DatasetItemRow(image_id=image_id, annotation_version=0, split="", group=image_id)
        for image_id in marks
    ]
    write_split(session, folder, out, "", items, marks, class_names(session, rows))


def write_split(
    session: Session,
    folder: StationFolder,
    out: Path,
    split: str,
    items: Sequence[DatasetItemRow],
    marks: dict[str, Any],
    names: dict[int, str],
) -> None:
    """Write the file of a split, and its images."""
    categories = {name: number for number, name in enumerate(sorted(set(names.values())), start=1)}
    content: dict[str, Any] = {
        "info": {},
        "licenses": [],
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
    for number, item in enumerate(items, start=1):
        image = session.get(ImageRow, item.image_id)
        assert image is not None and image.height and image.width, "annotated and reviewed images are decoded"
        name = put_image(folder, image, out)
        entry: dict[str, Any] = {
            "id": number,
            "file_name": name,
            "height": image.height,
            "width": image.width,
        }
        entry["group"] = item.group
        for row in marks[item.image_id]:
            shape = restored(row.kind, row.geometry, row.mask)
            if isinstance(shape, WholeImageShape):
                entry.setdefault("labels", []).append(names[row.class_id])
                continue
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": categories[names[row.class_id]],
                    "iscrowd": 0,
                    **coco_place(shape, image.height, image.width),
                    "source_id": str(row.id),
                }
            )
        content["images"].append(entry)
    name = f"instances_{split}.json" if split else "instances.json"
    write_atomically(out / "annotations" / name, json.dumps(content, ensure_ascii=False))


def coco_place(shape: AnyShape, height: int, width: int) -> dict[str, Any]:
    """Box, outline and area of a shape as COCO has them, cut to the image."""
    x0, y0, x1, y1 = extent(shape, height, width)
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
    place: dict[str, Any] = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
    if isinstance(shape, MaskShape):
        counts = whole_image_counts(shape, height, width)
        runs = {"size": [height, width], "counts": counts}
        return mask_box(shape) | {"segmentation": runs, "area": sum(counts[1::2])}
    if isinstance(shape, BoxShape | WholeImageShape):
        return place | {"segmentation": []}
    rings = [[(min(max(x, 0), width), min(max(y, 0), height)) for x, y in ring] for ring in rings_of(shape)]
    flat = [[value for point in ring for value in point] for ring in rings]
    return place | {"segmentation": flat, "area": sum(map(ring_area, rings))}


def mask_box(shape: MaskShape) -> dict[str, Any]:
    """Tight box of a mask's pixels."""
    x0, y0, _, y1 = shape.box
    rows, at, columns, lines = y1 - y0, 0, [], []
    for index, count in enumerate(shape.counts):
        if index % 2 and count:
            first, last = at, at + count - 1
            columns += [first // rows, last // rows]
            lines += [0, rows - 1] if first // rows != last // rows else [first % rows, last % rows]
        at += count
    left, top = x0 + min(columns), y0 + min(lines)
    return {"bbox": [left, top, x0 + max(columns) + 1 - left, y0 + max(lines) + 1 - top]}


def ring_area(ring: Sequence[tuple[float, float]]) -> float:
    """Area of a closed outline, by the shoelace formula."""
    pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
    return abs(sum(x * b - a * y for (x, y), (a, b) in pairs)) / 2


def class_names(session: Session, rows: Sequence[AnnotationRow]) -> dict[int, str]:
    """Name of each class of the annotations, by its number."""
    numbers = {row.class_id for row in rows}
    found = session.scalars(select(DefectClassRow).where(DefectClassRow.id.in_(numbers)))
    return {row.id: row.name for row in found}


def put_image(folder: StationFolder, image: ImageRow, out: Path) -> str:
    """Link or copy an image into a folder; returns its name below it.

    Raises BlemishError where it is not kept any more.
    """
    source = folder.images / image.file if image.file else None
    if source is None or not source.is_file():
        raise BlemishError(
            f"Image {image.id[:12]} is not kept any more. Freeze the data set again without it."
        )
    name = f"images/{source.name}"
    target = out / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        link_or_copy(source, target)
    return name
