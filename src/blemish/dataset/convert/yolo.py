"""Writing YOLO: `images/<split>/`, `labels/<split>/*.txt`, `data.yaml`. It holds boxes, or single polygons.

Shares of the image's size have all digits, so that boxes come back to float precision. As `yolo`, outlines
are kept when every annotation is one polygon; mixed files confuse YOLO's trainers, so otherwise all become
boxes. As `yolo-seg`, every annotation is one polygon: masks are traced along their pixels' edges, several
parts and holes joined by bridges of no width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from blemish.arrays import Box, Size
from blemish.dataset.convert.common import boxes_of, copy_image, instances_of, losses, write_settings
from blemish.dataset.convert.names import flat_names, renamed
from blemish.dataset.convert.outlines import joined, mask_outlines, single_outline
from blemish.dataset.samples import Annotation, Dataset, Polygon, Sample
from blemish.dataset.settings import SPLIT_NAMES
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.decode import image_size

NO_SPLIT = "unassigned"
LabelLine = tuple[str, Sequence[float]]  # a class name, and shares of the image's size


def write(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset as boxes, or as polygons where every annotation is one; returns warnings."""
    marks = [annotation for sample in dataset for annotation in sample.annotations]
    outlined = all(len(mark.polygons) == 1 and mark.mask is None for mark in marks)
    return write_files(dataset, out, outline_lines if outlined else box_lines, "yolo", outlines=outlined)


def write_outlines(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset as polygons, for YOLO's segmentation; returns warnings."""
    return write_files(dataset, out, outline_lines, "yolo-seg", outlines=True)


def write_files(
    dataset: Dataset,
    out: Path,
    lines_of: Callable[[Sample, Size], Iterator[LabelLine]],
    layout: str,
    *,
    outlines: bool,
) -> list[str]:
    """Write images, label files and settings; returns warnings. Raises BlemishError without any class."""
    if not dataset.class_names:
        raise BlemishError(
            f"{layout} must have a class at least. Received: clean images alone. Add images with "
            "defects, or convert to 'coco'."
        )
    names = flat_names(dataset)
    numbers = {name: number for number, name in enumerate(dataset.class_names)}
    for sample in dataset:
        name, folder = names[sample.id], sample.split or NO_SPLIT
        copy_image(sample.image, out / "images" / folder / name)
        lines = lines_of(sample, image_size(sample.image))
        text = "".join(f"{numbers[label]} {' '.join(map(repr, shares))}\n" for label, shares in lines)
        write_atomically(out / "labels" / folder / f"{PurePosixPath(name).stem}.txt", text)
    folders: dict[str, str] = {name: f"images/{name}" for name in SPLIT_NAMES if dataset.splits.get(name)}
    content: dict[str, Any] = {"path": ".", **folders, "names": dict(enumerate(dataset.class_names))}
    write_atomically(out / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    write_settings(out, dataset, {"layout": "yolo"})
    lost = losses(dataset, layout, outlines=outlines, ignored="become ordinary defects")
    return [*lost, *renamed(names)]


def box_lines(sample: Sample, size: Size) -> Iterator[LabelLine]:
    for annotation, box in boxes_of(sample, size):
        yield annotation.label, box_shares(box, size)


def outline_lines(sample: Sample, size: Size) -> Iterator[LabelLine]:
    height, width = size
    for annotation in sample.annotations:
        for polygon in polygons_of(sample, annotation, size):
            yield annotation.label, [share for x, y in polygon for share in (x / width, y / height)]


def polygons_of(sample: Sample, annotation: Annotation, size: Size) -> Iterator[Polygon]:
    """A polygon for each defect of an annotation: a mask file may hold several."""
    if annotation.mask is None:
        yield single_outline(annotation.polygons, size)
        return
    for found in instances_of(sample, annotation, size):
        left, top = (int(value) for value in found.box_xyxy[:2])
        if found.mask is not None:
            yield joined(mask_outlines(found.mask, left=left, top=top))


def box_shares(box: Box, size: Size) -> list[float]:
    """Centre and size of a box in shares of the image's size."""
    (left, top, right, bottom), (height, width) = box, size
    centre = [(left + right) / 2 / width, (top + bottom) / 2 / height]
    return [*centre, (right - left) / width, (bottom - top) / height]
