"""Training images of a phase: which boxes count, and which are neither defect nor background.

Source: TL-SDD section III-B, and the few-shot protocol of the method's README: a box that was not drawn is
ignored, as the network must neither learn it nor learn that it is background. Letters: n boxes of an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from blemish.arrays import Boxes, Integers, Size
from blemish.dataset.boxes import Boxed, cleaned_boxes
from blemish.dataset.samples import Sample
from blemish.dataset.splits.support_sets import SupportSet
from blemish.errors import BlemishError
from blemish.images.decode import image_size

IGNORED = -2  # label of a box that is neither a defect to learn nor background
Phase = Literal["base", "few", "mixed", "joint"]


@dataclass(frozen=True)
class AnnotatedImage:
    """Image of the training split with all its boxes. size: (height, width)

    ignored: boxes of crowd and difficult regions
    """

    sample: Sample
    size: Size
    boxes: tuple[Boxed, ...]
    ignored: tuple[Boxed, ...] = ()


@dataclass(frozen=True)
class AnnotatedImages:
    """Every training image, in the samples' order, and a line for each odd box."""

    images: tuple[AnnotatedImage, ...]
    notes: tuple[str, ...]

    @property
    def boxes(self) -> list[Boxed]:
        return [box for image in self.images for box in image.boxes]


@dataclass(frozen=True)
class TrainingImage:
    """Image of a phase.

    number: its place among the training samples; size: (height, width)
    boxes: [n, 4] xyxy pixels; labels: [n] class number, or −2 for a box to be ignored
    """

    number: int
    size: Size
    boxes: Boxes
    labels: Integers

    @property
    def counting(self) -> Integers:
        """Positions of the boxes that are not ignored."""
        return np.flatnonzero(self.labels >= 0)


@dataclass(frozen=True)
class PhaseImages:
    """Images of a phase, and a line for each kind of image left out."""

    images: tuple[TrainingImage, ...]
    notes: tuple[str, ...] = ()


def read_annotations(samples: Iterable[Sample]) -> AnnotatedImages:
    """Read the boxes of each sample, from mask files, too, and the sizes of the images."""
    images: list[AnnotatedImage] = []
    notes: list[str] = []
    for sample in samples:
        size = image_size(sample.image)
        found = cleaned_boxes(sample, size)
        images.append(AnnotatedImage(sample, size, found.boxes, found.ignored))
        notes += found.notes
    regions = [len(image.ignored) for image in images if image.ignored]
    if regions:
        notes.append(
            f"{sum(regions)} crowd or difficult regions in {len(regions)} images are ignored: "
            "they are learned neither as defects nor as surface"
        )
    return AnnotatedImages(tuple(images), tuple(notes))


def phase_images(
    images: Sequence[AnnotatedImage],
    common: Sequence[str],
    rare: Sequence[str],
    draw: SupportSet | None,
    *,
    phase: Phase,
    clean: bool = True,
) -> PhaseImages:
    """Select the images of a phase. Class numbers follow (*common, *rare).

    base: boxes of common classes; few: the drawn boxes of all classes; mixed and joint: those of common
    classes and the drawn rare ones. Images without a defect are there without boxes.
    clean: whether in phase 2 ("few", "mixed"), too
    Raises BlemishError where no box counts.
    """
    number_of = {name: number for number, name in enumerate((*common, *rare))}
    drawn = draw.ids if draw is not None and phase != "base" else frozenset()
    everything = frozenset(common) if phase != "few" else frozenset()
    with_clean = clean or phase in ("base", "joint")
    taken: list[TrainingImage] = []
    unlisted: list[AnnotatedImage] = []
    placeless: list[AnnotatedImage] = []
    unsure: list[AnnotatedImage] = []
    for number, annotated in enumerate(images):
        image = training_image(number, annotated, number_of, everything, drawn)
        if len(image.counting) or (with_clean and not annotated.sample.is_defective):
            taken.append(image)
        elif annotated.boxes and not any(box.label in number_of for box in annotated.boxes):
            unlisted.append(annotated)
        elif annotated.ignored and not annotated.boxes:
            unsure.append(annotated)
        elif annotated.sample.is_defective and not annotated.boxes:
            placeless.append(annotated)
    if not any(len(image.counting) for image in taken):
        raise BlemishError(
            f"The training images must have boxes of the classes to learn ({', '.join(number_of)}). "
            f"Received: none for phase '{phase}'. Correct the names, or mark boxes in split 'train'."
        )
    return PhaseImages(tuple(taken), left_out_notes(unlisted, placeless, unsure))


def training_image(
    number: int,
    annotated: AnnotatedImage,
    number_of: dict[str, int],
    classes: frozenset[str],
    ids: frozenset[str],
) -> TrainingImage:
    """Make a training image that ignores every box that is neither of `classes` nor among `ids`, and every
    crowd or difficult region.
    """
    labels = [
        number_of[box.label]
        if box.label in classes or (box.id in ids and box.label in number_of)
        else IGNORED
        for box in annotated.boxes
    ] + [IGNORED] * len(annotated.ignored)
    every = (*annotated.boxes, *annotated.ignored)
    boxes = np.array([box.box_xyxy for box in every], np.float32).reshape(-1, 4)
    return TrainingImage(number, annotated.size, boxes, np.array(labels, np.int64))


def left_out_notes(
    unlisted: Sequence[AnnotatedImage],
    placeless: Sequence[AnnotatedImage],
    unsure: Sequence[AnnotatedImage],
) -> tuple[str, ...]:
    """Lines on the kinds of images that are left out."""
    notes = []
    if unlisted:
        labels = sorted({box.label for image in unlisted for box in image.boxes})
        notes.append(
            f"{images_from(unlisted)} left out: boxes of unlisted classes alone ({', '.join(labels)})"
        )
    if placeless:
        notes.append(f"{images_from(placeless)} left out: marked as defective without a place")
    if unsure:
        notes.append(f"{images_from(unsure)} left out: crowd or difficult regions alone")
    return tuple(notes)


def images_from(images: Sequence[AnnotatedImage]) -> str:
    """Beginning of a note on images, with the id of the first."""
    first = images[0].sample.id
    return f"{first} is" if len(images) == 1 else f"{len(images)} images ({first}, …) are"
