"""Writing COCO JSON, which holds everything: one file a split, images under their own ids.

A mask file is written defect by defect as run lengths, bit-exact. The reader names keys beyond COCO's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from blemish.arrays import Box
from blemish.dataset.convert.common import copy_image, groups_by_split, instances_of, write_settings
from blemish.dataset.masks import Instance
from blemish.dataset.run_lengths import encode
from blemish.dataset.samples import Annotation, Dataset, MaskFile, Polygon, RunLengths, Sample
from blemish.files import write_atomically
from blemish.images.decode import image_size


def write(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset; returns warnings."""
    numbers, image_numbers = count(1), count(1)
    categories = categories_of(dataset.class_names)
    empty = 0
    for split, samples in groups_by_split(dataset).items():
        content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
        content["categories"] = [{"id": number, "name": name} for name, number in categories.items()]
        for sample in samples:
            image, marks, lost = described(sample, dataset.root, next(image_numbers))
            copy_image(sample.image, out / sample.id)
            if sample.reference is not None:
                copy_image(sample.reference, out / image["reference"])
            empty += lost
            content["images"].append(image)
            content["annotations"] += [numbered(mark, next(numbers), categories) for mark in marks]
        name = f"instances_{split}.json" if split else "instances.json"
        write_atomically(out / "annotations" / name, json.dumps({"info": {}, "licenses": [], **content}))
    write_settings(out, dataset, {"layout": "coco"})
    return warnings(dataset, empty)


def warnings(dataset: Dataset, empty: int) -> list[str]:
    labels = sum(not a.has_place for sample in dataset for a in sample.annotations)
    lines = []
    if labels:
        lines.append(
            f"coco has no image labels: {labels} are in the key 'labels' of images, for blemish alone"
        )
    if empty:
        lines.append(f"{empty} annotations with an empty mask and no box are left out")
    return lines


def described(sample: Sample, root: Path, number: int) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Image entry, annotation entries, and the number of annotations that mark no pixel."""
    size = image_size(sample.image)
    image: dict[str, Any] = {"id": number, "file_name": sample.id, "width": size[1], "height": size[0]}
    if sample.group is not None:
        image["group"] = sample.group
    if sample.product is not None:
        image["product"] = sample.product
    if sample.reference is not None:
        inside = sample.reference.is_relative_to(root)
        image["reference"] = (
            sample.reference.relative_to(root).as_posix() if inside else f"references/{sample.reference.name}"
        )
    labels = [a.label for a in sample.annotations if not a.has_place]
    if labels:
        image["labels"] = labels
    placed = [annotation_entries(sample, a, size) for a in sample.annotations if a.has_place]
    marks = [{**mark, "image_id": number} for found in placed for mark in found]
    return image, marks, sum(not found for found in placed)


def categories_of(class_names: Sequence[str]) -> dict[str, int]:
    """Class name → its number in the file."""
    return {name: number for number, name in enumerate(class_names, start=1)}


def numbered(mark: dict[str, Any], number: int, categories: dict[str, int]) -> dict[str, Any]:
    """Add COCO's whole-number id to an entry; the annotation's own id stays beside it."""
    own = {"source_id": mark["source_id"]} if mark["source_id"] not in ("", str(number)) else {}
    rest = {key: value for key, value in mark.items() if key not in ("label", "source_id")}
    return {"id": number, "category_id": categories[mark["label"]], "iscrowd": 0, **rest, **own}


def annotation_entries(sample: Sample, annotation: Annotation, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Entries of an annotation: of a mask file one for each defect, else a single one, or none."""
    if isinstance(annotation.mask, MaskFile):
        return [instance_entry(found, size) for found in instances_of(sample, annotation, size)]
    segmentation, area = outline(annotation)
    box = annotation.box_xyxy or extent(sample, annotation, size)
    if box is None:
        return []
    left, top, right, bottom = box
    own_area = area if annotation.has_outline else (right - left) * (bottom - top)
    return [entry(annotation.label, box, segmentation, own_area, annotation.contrast, annotation.id)]


def entry(
    label: str, box: Box, segmentation: Any, area: float, contrast: float | None, source_id: str
) -> dict[str, Any]:
    left, top, right, bottom = box
    known = {"contrast": contrast} if contrast is not None else {}
    bbox = [left, top, right - left, bottom - top]
    return {
        "label": label,
        "bbox": bbox,
        "segmentation": segmentation,
        "area": area,
        **known,
        "source_id": source_id,
    }


def instance_entry(found: Instance, size: tuple[int, int]) -> dict[str, Any]:
    """Entry of a defect cut out of a mask file, as run lengths of the whole image."""
    left, top, right, bottom = found.box_xyxy
    if found.mask is None:
        area = (right - left) * (bottom - top)
        return entry(found.label, found.box_xyxy, [], area, found.contrast, found.id)
    whole = np.zeros(size, np.bool_)
    whole[int(top) : int(bottom), int(left) : int(right)] = found.mask
    segmentation = run_length_entry(encode(whole))
    return entry(found.label, found.box_xyxy, segmentation, float(found.mask.sum()), found.contrast, found.id)


def outline(annotation: Annotation) -> tuple[Any, float]:
    """COCO's segmentation of an annotation, and its area in pixels."""
    if isinstance(annotation.mask, RunLengths):
        return run_length_entry(annotation.mask), float(sum(annotation.mask.counts[1::2]))
    flat = [[value for corner in polygon for value in corner] for polygon in annotation.polygons]
    return flat, sum(polygon_area(polygon) for polygon in annotation.polygons)


def run_length_entry(mask: RunLengths) -> dict[str, Any]:
    return {"counts": list(mask.counts), "size": list(mask.size)}


def polygon_area(polygon: Polygon) -> float:
    """Area in pixels, by the shoelace formula."""
    corners = np.asarray(polygon, np.float64)
    x, y = corners.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def extent(sample: Sample, annotation: Annotation, size: tuple[int, int]) -> Box | None:
    """Box around polygons or run lengths; None when nothing is marked."""
    if annotation.polygons:
        x, y = np.concatenate([np.asarray(polygon, np.float64) for polygon in annotation.polygons]).T
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())
    found = instances_of(sample, annotation, size)
    return found[0].box_xyxy if found else None
