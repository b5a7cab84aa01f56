"""Normal and defective crops of images that all show defects somewhere.

A normal crop holds no pixel of any mark. A defective one has a random point of a random defect in its middle
half, so that place alone tells neither from the other. Crops of one image are a group.
Shape letters: H, W of the image, S the crop's side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.dataset.convert.names import flat_names
from blemish.dataset.hashing import in_threads, pixel_hash
from blemish.dataset.ignored import counted, ignored_instances
from blemish.dataset.masks import Instance, defect_instances
from blemish.dataset.run_lengths import encode
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.bit_depth import spread
from blemish.images.decode import read_image, to_bytes
from blemish.images.encode import png_bytes

MIN_SIDE = 3  # pixels; a sliver of a defect at the crop's edge marks nothing


@dataclass(frozen=True)
class CropPlan:
    """Size and number of the crops of an image.

    side: of the square crops; normal, defective: how many of an image at most
    flat: a crop whose standard deviation, in gray levels, is below it shows nothing and is left out
    """

    side: int
    normal: int
    defective: int
    flat: float = 0.0


@dataclass(frozen=True)
class ProductCrop:
    """A crop in memory. file: its name; reference: that place of the image's reference"""

    file: str
    pixels: NDArray[np.uint8]
    annotations: tuple[Annotation, ...]
    group: str
    reference: NDArray[np.uint8] | None = None


def cut_crops(dataset: Dataset, plan: CropPlan, out: Path, *, seed: int) -> Dataset:
    """Write crops of every image to OUT/images, those of references to OUT/references.

    The crops of an image depend on its id, the plan and the seed alone. No two of them show the same.
    """
    names = flat_names(dataset)

    def cut(sample: Sample) -> list[ProductCrop]:
        stem = PurePosixPath(names[sample.id]).stem
        generator = generator_of(seed, f"{out.name}/{sample.id}")
        return list(crops_of(sample, stem, plan, generator, bits=dataset.info.get("bits")))

    found = (crop for crops in in_threads(cut, dataset.samples) for crop in crops)
    samples = tuple(written(crop, out) for crop in distinct(found))
    return replace(dataset, root=out, samples=samples, layout="", reason="", info={})


def crops_of(
    sample: Sample, stem: str, plan: CropPlan, generator: np.random.Generator, *, bits: int | None = None
) -> Iterator[ProductCrop]:
    """Crops of an image, normal ones first; none that show nothing, or a sliver of a defect alone.

    bits: that 16-bit images use; None: all
    """
    image = to_bytes(spread(read_image(sample.image), bits, str(sample.image)))
    size = (image.shape[0], image.shape[1])
    reference = read_reference(sample, size, bits)
    instances, unsure = defect_instances(counted(sample), size), ignored_instances(sample, size)
    every = [*instances, *(instance for instance, _ in unsure)]
    free = free_corners(marked_pixels(every, size), plan.side, plan.normal, generator)
    about = []
    if min(size) >= plan.side:
        for number in generator.permutation(len(instances))[: plan.defective]:
            point = point_in(instances[number], generator)
            about.append(corner_about(point, size, plan.side, generator))
    for top, left in dict.fromkeys([*free, *about]):
        window = (slice(top, top + plan.side), slice(left, left + plan.side))
        moved = (moved_annotation(instance, top, left, plan.side) for instance in instances)
        marks = tuple(mark for mark in moved if mark is not None)
        if image[window].std() >= plan.flat and (marks or (top, left) in free):
            own = None if reference is None else reference[window]
            marks += tuple(moved_regions(unsure, top, left, plan.side))
            yield ProductCrop(f"{stem}-x{left}-y{top}.png", image[window], marks, sample.id, own)


def read_reference(sample: Sample, size: tuple[int, int], bits: int | None) -> NDArray[np.uint8] | None:
    """Aligned image of a good part. Raises BlemishError where it is of another size than the image."""
    if sample.reference is None:
        return None
    pixels = to_bytes(spread(read_image(sample.reference), bits, str(sample.reference)))
    height, width = pixels.shape[:2]
    if (height, width) != size:
        raise BlemishError(
            f"{sample.reference} must be as large as {sample.image}. Received: {width}×{height} for "
            f"{size[1]}×{size[0]}. Align the images."
        )
    return pixels


def free_corners(
    marked: NDArray[np.bool_], side: int, number: int, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """Top left corners of at most `number` windows without a marked pixel, none overlapping another."""
    free = window_sums(marked, side) == 0
    corners: list[tuple[int, int]] = []
    while len(corners) < number and free.any():
        place = int(generator.choice(np.flatnonzero(free)))
        top, left = divmod(place, free.shape[1])
        corners.append((top, left))
        free[max(0, top - side + 1) : top + side, max(0, left - side + 1) : left + side] = False
    return corners


def window_sums(marked: NDArray[np.bool_], side: int) -> NDArray[np.int32]:
    """[H-S+1, W-S+1]: number of marked pixels in the window that begins there."""
    sums = cv2.integral(marked.view(np.uint8))
    return np.asarray(sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side])


def point_in(instance: Instance, generator: np.random.Generator) -> tuple[int, int]:
    """(row, column) of a random pixel of the defect."""
    left, top, right, bottom = (int(value) for value in instance.box_xyxy)
    shape = (max(1, bottom - top), max(1, right - left))
    mask = np.ones(shape, np.bool_) if instance.mask is None else instance.mask
    row, column = np.argwhere(mask)[generator.integers(np.count_nonzero(mask))]
    return top + int(row), left + int(column)


def corner_about(
    point: tuple[int, int], size: tuple[int, int], side: int, generator: np.random.Generator
) -> tuple[int, int]:
    """Top left corner of a window with the point in its middle half, as far as the image's edge allows."""
    offsets = generator.integers(side // 4, side - side // 4, 2)
    top, left = (
        int(np.clip(at - offset, 0, length - side))
        for at, offset, length in zip(point, offsets, size, strict=True)
    )
    return top, left


def marked_pixels(instances: Sequence[Instance], size: tuple[int, int]) -> NDArray[np.bool_]:
    """[H, W]: pixels of any mark; all of a box where only a box is known."""
    marked = np.zeros(size, np.bool_)
    for instance in instances:
        left, top = np.maximum(0, np.floor(instance.box_xyxy[:2])).astype(int)
        right, bottom = np.maximum(0, np.ceil(instance.box_xyxy[2:])).astype(int)
        window = marked[top:bottom, left:right]
        window |= True if instance.mask is None else instance.mask
    return marked


def moved_annotation(instance: Instance, top: int, left: int, side: int) -> Annotation | None:
    """The part of a defect inside a window, in its coordinates; None where no more than a sliver is."""
    if instance.mask is not None:
        mask = moved_mask(instance.mask, instance.box_xyxy, top, left, side)
        x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
        box = (float(x), float(y), float(x + width), float(y + height))
        return Annotation(instance.label, box, mask=encode(mask)) if is_seen(box) else None
    x1, y1, x2, y2 = instance.box_xyxy
    inside = (
        max(x1 - left, 0.0),
        max(y1 - top, 0.0),
        min(x2 - left, float(side)),
        min(y2 - top, float(side)),
    )
    return Annotation(instance.label, inside) if is_seen(inside) else None


def moved_regions(
    unsure: Sequence[tuple[Instance, Annotation]], top: int, left: int, side: int
) -> Iterator[Annotation]:
    """The parts of crowd and difficult regions inside a window, which stay what they are."""
    for instance, mark in unsure:
        moved = moved_annotation(instance, top, left, side)
        if moved is not None:
            yield replace(moved, crowd=mark.crowd, difficult=mark.difficult)


def is_seen(box: Box) -> bool:
    width, height = box[2] - box[0], box[3] - box[1]
    return min(width, height) > 0 and max(width, height) >= MIN_SIDE


def moved_mask(mask: NDArray[np.bool_], box: Box, top: int, left: int, side: int) -> NDArray[np.bool_]:
    """[S, S]: the part inside a window of a mask [h, w] that lies at `box`."""
    shown = np.zeros((side, side), np.bool_)
    rows, columns = np.nonzero(mask)
    rows, columns = rows + int(box[1]) - top, columns + int(box[0]) - left
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    shown[rows[inside], columns[inside]] = True
    return shown


def distinct(crops: Iterator[ProductCrop]) -> Iterator[ProductCrop]:
    """Crops that differ from every earlier one, and from the references of these."""
    earlier: set[str] = set()
    for crop in crops:
        own = [pixel_hash(pixels) for pixels in (crop.pixels, crop.reference) if pixels is not None]
        if len({*own} - earlier) == len(own):
            earlier.update(own)
            yield crop


def written(crop: ProductCrop, out: Path) -> Sample:
    """Write a crop to files; returns its sample."""
    image, reference = out / "images" / crop.file, out / "references" / crop.file
    write_atomically(image, png_bytes(crop.pixels))
    if crop.reference is not None:
        write_atomically(reference, png_bytes(crop.reference))
    return Sample(
        image,
        f"images/{crop.file}",
        crop.annotations,
        group=crop.group,
        reference=None if crop.reference is None else reference,
    )


def generator_of(seed: int, name: str) -> np.random.Generator:
    """A generator that depends on the seed and the name alone."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])
