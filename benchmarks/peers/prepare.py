"""A table's row as a task: the very images, splits and drawn boxes that the rows beside it learn from.

A box that was not drawn is neither defect nor background for our rows. The peers know no such boxes, so it is
painted over with its image's mean colour, where it lies on no box that counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.task import AnswerKind, PlainImage, Task, TrainImage
from benchmarks.tables.kinds.external import ExternalSettings
from benchmarks.tables.kinds.few_shot import about, draw_of, listed, resolved_classes
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import Table
from blemish.dataset.masks import class_map
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.splits.support_sets import SupportSet
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.decode import image_size, read_image, to_unit
from blemish.images.encode import png_bytes
from blemish.methods.tlsdd.data.training_images import (
    AnnotatedImage,
    TrainingImage,
    phase_images,
    read_annotations,
)
from blemish.training.run import with_validation

PREDICTED = ("val", "test")
KINDS: Mapping[str, AnswerKind] = {
    "torchvision-frcnn": "boxes",
    "yolo": "boxes",
    "patchcore": "verdicts",
    "efficientad": "verdicts",
    "smp-unet": "outlines",
    "supersimplenet": "verdicts",
}
LEARN_OUTLINES = ("smp-unet", "supersimplenet")  # peers that are given the defects' masks


@dataclass(frozen=True)
class Prepared:
    """A row's task. dataset: measured on, by its splits; draw: of the support set, for the stored row"""

    task: Task
    dataset: Dataset
    draw: dict[str, Any] | None = None


def prepared(table: Table, row: TableRow, settings: ExternalSettings, seed: int, folder: Path) -> Prepared:
    """The task of a row for one seed; images that are made for it go into `folder`."""
    kind = KINDS[settings.peer]
    if row.kind == "external-few-shot":
        return few_shot_task(table, settings, seed, folder)
    if row.kind == "external-product":
        assert row.target is not None
        dataset = of_product(table.dataset, row.target)
    else:
        dataset = with_validation(table.dataset, 0, table.reporter)
    train = dataset.split("train")
    if kind == "boxes":
        images = boxed(train, dataset.class_names, (), None, folder)
    else:
        outlines = settings.peer in LEARN_OUTLINES
        images = [plain(sample, dataset, folder, outlines=outlines) for sample in train]
    return Prepared(Task(kind, dataset.class_names, tuple(images), to_predict(dataset)), dataset)


def few_shot_task(table: Table, settings: ExternalSettings, seed: int, folder: Path) -> Prepared:
    """All boxes of common classes and the drawn ones of rare classes, as joint training has them."""
    if settings.shots is None:
        raise BlemishError(
            f"table {table.name}: a row of kind external-few-shot must have a setting shots. "
            "Received: none. Add shots: 5."
        )
    classes = resolved_classes(table)
    file, draw = draw_of(table, classes, settings.shots, seed)
    names = (*classes.common, *classes.rare)
    dataset = listed(table.dataset, names)
    images = boxed(table.dataset.split("train"), classes.common, classes.rare, draw, folder)
    return Prepared(Task("boxes", names, tuple(images), to_predict(dataset)), dataset, about(draw, file))


def to_predict(dataset: Dataset) -> tuple[PlainImage, ...]:
    samples = [sample for split in PREDICTED for sample in dataset.split(split)]
    return tuple(
        PlainImage(sample.id, str(sample.image.resolve()), image_size(sample.image)) for sample in samples
    )


def boxed(
    train: Dataset, common: Iterable[str], rare: Iterable[str], draw: SupportSet | None, folder: Path
) -> list[TrainImage]:
    """The images of joint training with the boxes that count; class numbers follow (*common, *rare)."""
    marked = read_annotations(train).images
    training_images = phase_images(marked, tuple(common), tuple(rare), draw, phase="joint").images
    return [
        with_boxes(marked[training_image.number], training_image, folder)
        for training_image in training_images
    ]


def with_boxes(image: AnnotatedImage, training_image: TrainingImage, folder: Path) -> TrainImage:
    counting = training_image.counting
    path = image.sample.image.resolve()
    if len(counting) < len(training_image.boxes):
        path = (folder / "images" / f"{image.sample.id}.png").resolve()
        write_atomically(path, png_bytes(painted_over(image, training_image)))
    return TrainImage(
        image.sample.id,
        str(path),
        image.size,
        boxes=tuple(tuple(map(float, training_image.boxes[number])) for number in counting),  # type: ignore[misc]
        labels=tuple(int(training_image.labels[number]) for number in counting),
        defective=image.sample.is_defective,
    )


def painted_over(image: AnnotatedImage, training_image: TrainingImage) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The image with its ignored boxes painted over. returns: [H, W, 3]"""
    pixels = np.round(to_unit(read_image(image.sample.image, channels=3)) * 255).astype(np.uint8)
    covered = np.zeros(image.size, bool)
    for ignored in (True, False):
        for box, label in zip(training_image.boxes, training_image.labels, strict=True):
            if (label < 0) == ignored:
                left, top = np.floor(box[:2]).astype(int)
                right, bottom = np.ceil(box[2:]).astype(int)
                covered[top:bottom, left:right] = ignored
    pixels[covered] = pixels[~covered].mean(axis=0).round() if not covered.all() else 128
    return pixels


def plain(sample: Sample, dataset: Dataset, folder: Path, *, outlines: bool) -> TrainImage:
    """The image with its verdict, and where outlines are learned with the mask of all its defects."""
    size, mask = image_size(sample.image), None
    if outlines:
        file = (folder / "masks" / f"{sample.id}.png").resolve()
        inside = class_map(sample, dataset.class_names, size) > 0
        write_atomically(file, png_bytes((255 * inside).astype(np.uint8)))
        mask = str(file)
    return TrainImage(sample.id, str(sample.image.resolve()), size, mask=mask, defective=sample.is_defective)
