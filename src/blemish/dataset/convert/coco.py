"""Writing COCO JSON, which holds everything: one file a split, images under their own ids.

A mask file is written defect by defect as run lengths, bit-exact. Areas are those that pycocotools gives a
segmentation: overlapping parts count once, a crossing outline by the even-odd rule. The reader names keys
beyond COCO's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box, Size
from blemish.dataset.convert.common import copy_image, groups_by_split, instances_of, write_settings
from blemish.dataset.convert.names import renamed, safe_path, tree_names
from blemish.dataset.faults import extent
from blemish.dataset.layouts.identity import folded
from blemish.dataset.masks import Instance, polygon_mask
from blemish.dataset.run_lengths import decode, encode
from blemish.dataset.samples import Annotation, Dataset, MaskFile, RunLengths, Sample
from blemish.files import write_atomically
from blemish.images.decode import image_size


def write(dataset: Dataset, out: Path, *, run_lengths: bool = False) -> list[str]:
    """Write the dataset; returns warnings. run_lengths: write every outline as compressed run lengths"""
    numbers, image_numbers = count(1), count(1)
    categories = categories_of(dataset.class_names)
    names = tree_names(dataset)
    references = reference_names(dataset, {sample.image: names[sample.id] for sample in dataset})
    for split, samples in groups_by_split(dataset).items():
        content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
        content["categories"] = [{"id": number, "name": name} for name, number in categories.items()]
        for sample in samples:
            copy_image(sample.image, out / names[sample.id])
            image = {"id": next(image_numbers), **image_entry(sample, names[sample.id], references)}
            if sample.reference is not None:
                copy_image(sample.reference, out / image["reference"])
            content["images"].append(image)
            marks = annotation_entries(sample, (image["height"], image["width"]), run_lengths=run_lengths)
            content["annotations"] += [
                numbered({**mark, "image_id": image["id"]}, next(numbers), categories) for mark in marks
            ]
        name = f"instances_{split}.json" if split else "instances.json"
        write_atomically(out / "annotations" / name, json.dumps({"info": {}, "licenses": [], **content}))
    write_settings(out, dataset, {"layout": "coco"})
    return [*warnings(dataset), *renamed(names)]


def warnings(dataset: Dataset) -> list[str]:
    """Lines on what stands in keys that other tools do not know."""
    marks = [annotation for sample in dataset for annotation in sample.annotations]
    labels, difficult = sum(not a.has_place for a in marks), sum(a.difficult for a in marks)
    lines = []
    if labels:
        lines.append(
            f"coco has no image labels: {labels} are in the key 'labels' of images, for blemish alone"
        )
    if difficult:
        lines.append(
            f"coco has no difficult defects: {difficult} have the key 'difficult', for blemish alone; other "
            "tools count them as any"
        )
    return lines


def reference_names(dataset: Dataset, images: Mapping[Path, str]) -> dict[Path, str]:
    """Reference image → path below the output. images: the same for images of the dataset"""
    names = dict(images)
    used = {folded(name) for name in images.values()}
    for reference in dict.fromkeys(sample.reference for sample in dataset if sample.reference is not None):
        if reference in names:
            continue
        inside = reference.is_relative_to(dataset.root)
        path = reference.relative_to(dataset.root).as_posix() if inside else f"references/{reference.name}"
        name = wanted = safe_path(path)
        for number in count(2):
            if folded(name) not in used:
                break
            name = f"references/{number}/{wanted}"
        used.add(folded(name))
        names[reference] = name
    return names


def image_entry(sample: Sample, name: str, references: Mapping[Path, str]) -> dict[str, Any]:
    """Entry of an image, but for its number. name: path below the file's root"""
    height, width = image_size(sample.image)
    image: dict[str, Any] = {"file_name": name, "width": width, "height": height}
    if sample.group is not None:
        image["group"] = sample.group
    if sample.product is not None:
        image["product"] = sample.product
    if sample.reference is not None:
        image["reference"] = references[sample.reference]
    labels = [a.label for a in sample.annotations if not a.has_place]
    if labels:
        image["labels"] = labels
    return image


def categories_of(class_names: Sequence[str]) -> dict[str, int]:
    """Class name → its number in the file."""
    return {name: number for number, name in enumerate(class_names, start=1)}


def numbered(mark: dict[str, Any], number: int, categories: dict[str, int]) -> dict[str, Any]:
    """Add COCO's whole-number id to an entry; the annotation's own id stays beside it."""
    own = {"source_id": mark["source_id"]} if mark["source_id"] not in ("", str(number)) else {}
    rest = {key: value for key, value in mark.items() if key not in ("label", "source_id")}
    return {"id": number, "category_id": categories[mark["label"]], **rest, **own}


def annotation_entries(sample: Sample, size: Size, *, run_lengths: bool = False) -> list[dict[str, Any]]:
    """Entries of a sample's annotations with a place: of a mask file one for each defect."""
    placed = [annotation for annotation in sample.annotations if annotation.has_place]
    return [entry for mark in placed for entry in entries_of(sample, mark, size, run_lengths=run_lengths)]


def entries_of(
    sample: Sample, annotation: Annotation, size: Size, *, run_lengths: bool
) -> list[dict[str, Any]]:
    if isinstance(annotation.mask, MaskFile):
        found = instances_of(sample, annotation, size)
        return [
            entry(annotation, each.box_xyxy, *instance_outline(each, size, run_lengths), each.id)
            for each in found
        ]
    segmentation, area = outline(annotation, size, run_lengths)
    box = annotation.box_xyxy or extent_of(annotation)
    if box is None:
        return []
    if not annotation.has_outline:
        area = (box[2] - box[0]) * (box[3] - box[1])
    return [entry(annotation, box, segmentation, area, annotation.id)]


def entry(annotation: Annotation, box: Box, segmentation: Any, area: float, source_id: str) -> dict[str, Any]:
    left, top, right, bottom = box
    known = {} if annotation.contrast is None else {"contrast": annotation.contrast}
    return {
        "label": annotation.label,
        "bbox": [left, top, right - left, bottom - top],
        "segmentation": segmentation,
        "area": area,
        "iscrowd": int(annotation.crowd),
        **known,
        **({"difficult": 1} if annotation.difficult else {}),
        "source_id": source_id,
    }


def instance_outline(found: Instance, size: Size, run_lengths: bool) -> tuple[Any, float]:
    """Run lengths, over the whole image, of a defect cut out of a mask file; and its area."""
    left, top, right, bottom = (int(value) for value in found.box_xyxy)
    whole = np.zeros(size, np.bool_)
    if found.mask is not None:
        whole[top:bottom, left:right] = found.mask
    segmentation = compressed(whole) if run_lengths else run_length_entry(encode(whole))
    return segmentation, float(whole.sum())


def outline(annotation: Annotation, size: Size, run_lengths: bool) -> tuple[Any, float]:
    """COCO's segmentation of an annotation, and its area in pixels."""
    if isinstance(annotation.mask, RunLengths):
        area = float(sum(annotation.mask.counts[1::2]))
        segmentation = run_length_entry(annotation.mask)
        return (compressed(decode(annotation.mask)) if run_lengths else segmentation), area
    if run_lengths and annotation.polygons:
        mask = polygon_mask(annotation.polygons, size)
        return compressed(mask), float(mask.sum())
    flat = [[value for corner in polygon for value in corner] for polygon in annotation.polygons]
    # An outline about a single pixel's centre is a pixel here, and none there.
    area = area_of(flat, size) or float(polygon_mask(annotation.polygons, size).sum()) if flat else 0.0
    return flat, area


def run_length_entry(mask: RunLengths) -> dict[str, Any]:
    return {"counts": list(mask.counts), "size": list(mask.size)}


def compressed(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask [H, W]."""
    from faster_coco_eval.core import mask as coco_masks  # a quarter of a second to import

    packed = coco_masks.encode(np.asfortranarray(mask.view(np.uint8)))
    return {"size": list(mask.shape), "counts": packed["counts"].decode("ascii")}


def area_of(polygons: list[list[float]], size: Size) -> float:
    """Area in pixels of polygons given as flat lists, together, as COCO's own code draws them."""
    from faster_coco_eval.core import mask as coco_masks

    height, width = size
    return float(coco_masks.area(coco_masks.merge(coco_masks.frPyObjects(polygons, height, width))))


def extent_of(annotation: Annotation) -> Box | None:
    """Box around the polygons, or around the pixels of the run lengths; None where there are none."""
    if not isinstance(annotation.mask, RunLengths):
        return extent(annotation.polygons)
    rows, columns = np.nonzero(decode(annotation.mask))
    if not rows.size:
        return None
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
