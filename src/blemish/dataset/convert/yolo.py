"""Writing YOLO: `images/<split>/`, `labels/<split>/*.txt`, `data.yaml`. It holds boxes, or single polygons.

Shares of the image's size have all digits, so that boxes come back to float precision. Outlines are kept
when every annotation is one polygon. Mixed files confuse YOLO's trainers, so otherwise all become boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from blemish.arrays import Box
from blemish.dataset.convert.common import boxes_of, copy_image, flat_names, losses, refuse, write_settings
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.settings import SPLIT_NAMES
from blemish.files import write_atomically
from blemish.images.decode import image_size

NO_SPLIT = "unassigned"


def write(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset; returns warnings. Raises BlemishError for image labels."""
    refuse(dataset, "yolo", lambda annotation: not annotation.has_place, "image labels")
    names = flat_names(dataset)
    marks = [annotation for sample in dataset for annotation in sample.annotations]
    outlined = all(len(mark.polygons) == 1 and mark.mask is None for mark in marks)
    for sample in dataset:
        name, folder = names[sample.id], sample.split or NO_SPLIT
        copy_image(sample.image, out / "images" / folder / name)
        text = label_text(sample, dataset.class_names, outlined)
        write_atomically(out / "labels" / folder / f"{PurePosixPath(name).stem}.txt", text)
    folders: dict[str, str] = {name: f"images/{name}" for name in SPLIT_NAMES if dataset.splits.get(name)}
    names_by_number = dict(enumerate(dataset.class_names))
    content: dict[str, Any] = {"path": ".", **folders, "names": names_by_number}
    write_atomically(out / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    write_settings(out, dataset, {"layout": "yolo"})
    return losses(dataset, "yolo", outlines=outlined)


def label_text(sample: Sample, class_names: Sequence[str], outlined: bool) -> str:
    """Text of a label file, a line an annotation, in shares of the image's size; '' for a clean image."""
    height, width = size = image_size(sample.image)
    if outlined:
        lines = [
            (a.label, [share for x, y in a.polygons[0] for share in (x / width, y / height)])
            for a in sample.annotations
        ]
    else:
        lines = [(label, box_shares(box, size)) for label, box in boxes_of(sample, size)]
    numbers = {name: number for number, name in enumerate(class_names)}
    return "".join(f"{numbers[label]} {' '.join(map(repr, shares))}\n" for label, shares in lines)


def box_shares(box: Box, size: tuple[int, int]) -> list[float]:
    """Centre and size of a box in shares of the image's size."""
    (left, top, right, bottom), (height, width) = box, size
    centre = [(left + right) / 2 / width, (top + bottom) / 2 / height]
    return [*centre, (right - left) / width, (bottom - top) / height]
