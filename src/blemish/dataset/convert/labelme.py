"""Writing LabelMe: `images/` with a JSON file beside each image. It holds boxes and outlines.

Parts of an outline share a `group_id`. Masks are traced along their pixels' edges, a hole joined to the part
around it by a bridge of no width. The key `difficult` is X-AnyLabeling's.
Source: https://github.com/wkentaro/labelme, `label_file.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from blemish.arrays import Size
from blemish.dataset.convert.common import (
    copy_image,
    crowds,
    instances_of,
    losses,
    write_settings,
    write_split_lists,
)
from blemish.dataset.convert.names import flat_names, renamed
from blemish.dataset.convert.outlines import mask_outlines
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.files import write_atomically
from blemish.images.decode import image_size

VERSION = "5.5.0"  # of the file format
Shape = tuple[str, list[list[float]]]  # a shape's type and its points


def write(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset; returns warnings."""
    names = flat_names(dataset)
    for sample in dataset:
        name = names[sample.id]
        copy_image(sample.image, out / "images" / name)
        content = json.dumps(label_file(sample, name), indent=2) + "\n"
        write_atomically(out / "images" / f"{PurePosixPath(name).stem}.json", content)
    write_split_lists(out / "splits", dataset, lambda sample: f"images/{names[sample.id]}")
    write_settings(out, dataset, {"layout": "labelme", "classes": list(dataset.class_names)})
    return [*losses(dataset, "labelme", outlines=True), *crowds(dataset, "labelme"), *renamed(names)]


def label_file(sample: Sample, name: str) -> dict[str, Any]:
    """Content of an image's label file. name: of the image beside it"""
    height, width = size = image_size(sample.image)
    groups = count(1)
    shapes: list[dict[str, Any]] = []
    for annotation in sample.annotations:
        for outlines in defects_of(sample, annotation, size):
            group = next(groups) if len(outlines) > 1 else None
            shapes += [shape(annotation, outline, group) for outline in outlines]
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def defects_of(sample: Sample, annotation: Annotation, size: Size) -> Iterator[list[Shape]]:
    """Outlines of each defect of an annotation: a mask file may hold several."""
    if annotation.mask is None and annotation.polygons:
        yield [("polygon", [[*corner] for corner in polygon]) for polygon in annotation.polygons]
        return
    for found in instances_of(sample, annotation, size):
        left, top, right, bottom = found.box_xyxy
        if found.mask is None:
            yield [("rectangle", [[left, top], [right, bottom]])]
        else:
            parts = mask_outlines(found.mask, left=int(left), top=int(top))
            yield [("polygon", [[*corner] for corner in part]) for part in parts]


def shape(annotation: Annotation, outline: Shape, group: int | None) -> dict[str, Any]:
    kind, points = outline
    return {
        "label": annotation.label,
        "points": points,
        "group_id": group,
        "description": "",
        "difficult": annotation.difficult or annotation.crowd,
        "shape_type": kind,
        "flags": {},
        "mask": None,
    }
