"""Writing masks: `images/` and `masks/*.png` of the same stems, a colour a class. It holds classes of pixels.

Class folders with masks beside the images cannot hold two classes in one image, nor PNG images; this form
holds both. The colours are named in dataset.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Colour
from blemish.dataset.convert.common import copy_image, losses, write_settings, write_split_lists
from blemish.dataset.convert.names import flat_names, renamed
from blemish.dataset.masks import annotation_masks, class_map, defect_instances
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.decode import image_size
from blemish.images.encode import png_bytes
from blemish.regions.components import label_regions

LEVELS = (0, 128, 255)


def write(dataset: Dataset, out: Path) -> list[str]:
    """Write the dataset; returns warnings. Raises BlemishError for more classes than there are colours."""
    names, colours = flat_names(dataset), class_colours(dataset.class_names)
    palette = np.array([(0, 0, 0), *colours.values()], np.uint8)
    overlaps = joined = 0
    for sample in dataset:
        copy_image(sample.image, out / "images" / names[sample.id])
        size = image_size(sample.image)
        classes = class_map(sample, dataset.class_names, size)
        mask = out / "masks" / f"{PurePosixPath(names[sample.id]).stem}.png"
        write_atomically(mask, png_bytes(palette[classes]))
        overlaps += hidden_pixels(sample, classes)
        told_apart = [
            label_regions(classes == k + 1, join_distance=4)[1] for k in range(len(dataset.class_names))
        ]
        joined += max(0, len(defect_instances(sample, size)) - sum(told_apart))
    write_split_lists(out / "splits", dataset, lambda sample: f"images/{names[sample.id]}")
    named = {name: "#" + "".join(f"{value:02x}" for value in colour) for name, colour in colours.items()}
    write_settings(out, dataset, {"layout": "pairs", "exact_colours": True, "colours": named})
    lost = losses(dataset, "masks", outlines=True, ignored="become ordinary defects")
    return [*lost, *warnings(overlaps, joined), *renamed(names)]


def warnings(overlaps: int, joined: int) -> list[str]:
    lines = []
    if overlaps:
        lines.append(f"a pixel has one class in masks: {overlaps} pixels keep only the last that covers them")
    if joined:
        lines.append(f"masks do not tell touching defects of a class apart: {joined} defects joined others")
    return lines


def class_colours(class_names: Sequence[str]) -> dict[str, Colour]:
    """Colours for the classes, far from each other and from black, vivid ones first."""
    cube: list[Colour] = [colour for colour in product(LEVELS, LEVELS, LEVELS) if any(colour)]
    vivid = sorted(cube, key=lambda colour: (min(colour) - max(colour), [-value for value in colour]))
    if len(class_names) > len(vivid):
        raise BlemishError(
            f"masks can hold {len(vivid)} classes at most. Received: {len(class_names)}. Convert to 'coco'."
        )
    return dict(zip(class_names, vivid, strict=False))


def hidden_pixels(sample: Sample, classes: NDArray[np.uint8]) -> int:
    """Number of pixels that two different classes cover."""
    covered: dict[str, NDArray[np.bool_]] = {}
    for annotation, mask in annotation_masks(sample, classes.shape[:2]):
        covered[annotation.label] = covered.get(annotation.label, np.zeros_like(mask)) | mask
    return int(sum(mask.sum() for mask in covered.values()) - (classes > 0).sum())
