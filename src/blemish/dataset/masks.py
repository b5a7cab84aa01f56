"""From annotations to pixels: a class map for training, and single defects for evaluation.

A polygon is in pixel-edge coordinates (the pixel at x, y spans x … x+1) and holds the pixels whose centre it
holds.
Shape letters: H, W. Sizes are (height, width).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box, Size
from blemish.dataset import run_lengths
from blemish.dataset.mask_files import StoredMask, read_stored
from blemish.dataset.samples import Annotation, MaskFile, Polygon, RunLengths, Sample
from blemish.errors import BlemishError, nearest_name
from blemish.images.decode import luminance, to_bytes
from blemish.regions.components import split_regions
from blemish.regions.polygons import filled


@dataclass(frozen=True)
class Instance:
    """A single defect as annotated.

    box_xyxy: around the mask's pixels where there is a mask (whole numbers), else as annotated
    mask: [h, w] bool, the pixels inside the box; None where only a box is known
    """

    label: str
    box_xyxy: Box
    mask: NDArray[np.bool_] | None = None
    contrast: float | None = None
    id: str = ""


def class_map(sample: Sample, class_names: Sequence[str], size: Size) -> NDArray[np.uint8]:
    """[H, W]: 0 on the surface, k + 1 on class_names[k]; later annotations lie on top.

    Boxes and image labels have no pixels and are not drawn. Raises BlemishError when a mask file
    is not of the image's size, or a class is not among the names.
    """
    classes = np.zeros(size, np.uint8)
    for annotation, mask in annotation_masks(sample, size):
        classes[mask] = class_number(annotation.label, class_names, sample) + 1
    return classes


def defect_instances(sample: Sample, size: Size, *, join_distance: float = 4) -> list[Instance]:
    """The single defects of an image; image labels have no place and give none.

    A polygon or run-length annotation is one defect. A mask file is split into regions, unless its pixels
    are whole; those nearer than `join_distance` pixels are one defect. An annotation with a box alone has no
    mask.
    """
    instances = [boxed(annotation) for annotation in sample.annotations if not annotation.has_outline]
    for annotation, mask in annotation_masks(sample, size):
        if isinstance(annotation.mask, MaskFile) and not annotation.mask.whole:
            instances += regions(annotation, mask, join_distance)
        else:
            instances.append(cropped(annotation, mask))
    return [instance for instance in instances if instance is not None]


def annotation_masks(sample: Sample, size: Size) -> Iterator[tuple[Annotation, NDArray[np.bool_]]]:
    """Each annotation that has an outline, with its pixels [H, W]; a shared file is decoded once."""
    files: dict[Path, StoredMask] = {}
    for annotation in sample.annotations:
        mask = annotation.mask
        if isinstance(mask, MaskFile):
            if mask.path not in files:
                files[mask.path] = read_stored(mask.path)
                refuse_other_size(str(mask.path), files[mask.path].values.shape[:2], sample, size)
            yield annotation, chosen_pixels(files[mask.path], mask)
        elif mask is not None:
            yield annotation, run_length_mask(mask, sample, size)
        elif annotation.polygons:
            yield annotation, polygon_mask(annotation.polygons, size)


def chosen_pixels(stored: StoredMask, mask: MaskFile) -> NDArray[np.bool_]:
    """[H, W]: the pixels of the mask file that belong to the annotation."""
    pixels = stored.values
    if mask.values:
        return np.isin(pixels, mask.values)
    if stored.palette is not None:
        pixels = np.array([*stored.palette, *[(0, 0, 0)] * 256][:256], np.uint8)[pixels]
    if mask.colour is None:
        if pixels.ndim == 3:
            pixels = pixels.max(axis=-1) if mask.any_colour else luminance(pixels)
        return np.asarray(pixels > mask.above * (257 if pixels.dtype == np.uint16 else 1))
    colours = pixels if pixels.ndim == 3 else np.stack([to_bytes(pixels)] * 3, axis=-1)
    rest = [(0, 0, 0), *mask.other_colours]
    chosen = np.asarray(colours.any(axis=-1))
    chosen[chosen] = nearest_to(colours[chosen], mask.colour, rest)
    return chosen


def polygon_mask(polygons: Sequence[Polygon], size: Size) -> NDArray[np.bool_]:
    """[H, W]: pixels whose centre lies in any of the polygons (each by the even-odd rule)."""
    mask = np.zeros(size, np.bool_)
    for polygon in polygons:
        mask |= filled(np.asarray(polygon, np.float64), size)
    return mask


def class_number(label: str, class_names: Sequence[str], sample: Sample) -> int:
    if label in class_names:
        return list(class_names).index(label)
    raise BlemishError(
        f"{sample.image} must be marked with a known class ({', '.join(class_names)}). Received: '{label}'."
        f"{nearest_name(label, class_names)} Correct the annotation or add the class."
    )


def run_length_mask(mask: RunLengths, sample: Sample, size: Size) -> NDArray[np.bool_]:
    refuse_other_size("its run-length mask", mask.size, sample, size)
    try:
        return run_lengths.decode(mask)
    except ValueError as error:
        raise BlemishError(
            f"{sample.image} must have whole run-length masks. Received: {error}. Correct the file."
        ) from error


def refuse_other_size(mask_name: str, mask_size: Sequence[int], sample: Sample, size: Size) -> None:
    if tuple(mask_size) != size:
        raise BlemishError(
            f"A mask must be of its image's size. Received: {mask_name} of {mask_size[1]}×{mask_size[0]} "
            f"for {sample.image} of {size[1]}×{size[0]} (width×height). Save the mask at the image's size."
        )


def nearest_to(
    pixels: NDArray[Any], colour: tuple[int, int, int], rest: Sequence[tuple[int, int, int]]
) -> NDArray[np.bool_]:
    """[N]: true where pixels [N, 3] are nearer to `colour` than to all others; |p−c|² < |p−o|² is linear."""
    nearer = np.ones(len(pixels), np.bool_)
    values, own = pixels.astype(np.float32), np.array(colour, np.float32)
    for other in np.array(rest, np.float32):
        nearer &= 2 * values @ (own - other) > own @ own - other @ other
    return nearer


def boxed(annotation: Annotation) -> Instance | None:
    if annotation.box_xyxy is None:
        return None
    return Instance(annotation.label, annotation.box_xyxy, None, annotation.contrast, annotation.id)


def regions(annotation: Annotation, mask: NDArray[np.bool_], join_distance: float) -> list[Instance | None]:
    """Regions of the mask as instances; each of several gets the annotation's id and a number."""
    crops = list(split_regions(mask, join_distance=join_distance))
    found: list[Instance | None] = []
    for number, (crop, (left, top)) in enumerate(crops, start=1):
        name = annotation.id if len(crops) == 1 or not annotation.id else f"{annotation.id}-{number}"
        found.append(instance_at(annotation, crop, top, left, name))
    return found


def cropped(annotation: Annotation, mask: NDArray[np.bool_]) -> Instance | None:
    """Instance of the annotation's pixels, cut out; of an outline too thin to hold any, its box."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return boxed(annotation)
    crop = mask[top : top + height, left : left + width].copy()
    return instance_at(annotation, crop, top, left, annotation.id)


def instance_at(annotation: Annotation, crop: NDArray[np.bool_], top: int, left: int, name: str) -> Instance:
    height, width = crop.shape
    box = (float(left), float(top), float(left + width), float(top + height))
    return Instance(annotation.label, box, crop, annotation.contrast, name)
