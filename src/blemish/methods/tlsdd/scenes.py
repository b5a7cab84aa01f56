"""Training images as a phase sees them: which boxes count, and which are neither defect nor background.

Source: TL-SDD section III-B, and the few-shot protocol of the method's README: a box that was not drawn is
ignored, as the network must neither learn it nor learn that it is background.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.boxes import Boxed, cleaned_boxes
from blemish.dataset.samples import Sample
from blemish.dataset.splits.support_sets import SupportSet
from blemish.errors import BlemishError
from blemish.images.decode import image_size

IGNORED = -2
Phase = Literal["base", "few", "mixed", "joint"]


@dataclass(frozen=True)
class Marked:
    """A training image and its boxes. size: (height, width)"""

    sample: Sample
    size: tuple[int, int]
    boxes: tuple[Boxed, ...]


@dataclass(frozen=True)
class Survey:
    """Every training image, in the samples' order, and a line for each odd box."""

    images: tuple[Marked, ...]
    notes: tuple[str, ...]

    @property
    def boxes(self) -> list[Boxed]:
        return [box for image in self.images for box in image.boxes]


@dataclass(frozen=True)
class Scene:
    """One image of a phase.

    number: its place among the training samples; size: (height, width)
    boxes: [n, 4] xyxy pixels; labels: [n] class number, or −2 for a box to be ignored
    """

    number: int
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def counting(self) -> NDArray[np.intp]:
        """Positions of the boxes that are not ignored."""
        return np.flatnonzero(self.labels >= 0)


@dataclass(frozen=True)
class Scenes:
    """The images of a phase, and a line for each kind of image left out."""

    scenes: tuple[Scene, ...]
    notes: tuple[str, ...] = ()


def survey(samples: Iterable[Sample]) -> Survey:
    """The boxes of each sample. Reads mask files, and of images the headers."""
    images: list[Marked] = []
    notes: list[str] = []
    for sample in samples:
        size = image_size(sample.image)
        found = cleaned_boxes(sample, size)
        images.append(Marked(sample, size, found.boxes))
        notes += found.notes
    return Survey(tuple(images), tuple(notes))


def phase_samples(
    images: Sequence[Marked],
    common: Sequence[str],
    rare: Sequence[str],
    draw: SupportSet | None,
    *,
    phase: Phase,
) -> Scenes:
    """The images of a phase. Class numbers follow (*common, *rare).

    base: boxes of common classes; few: the drawn boxes of all classes; mixed and joint: those of common
    classes and the drawn rare ones. Clean images are scenes without boxes, but not in the episodes of phase 2
    ("few", "mixed"), whose queries show their class.
    Raises BlemishError where no box counts.
    """
    number_of = {name: number for number, name in enumerate((*common, *rare))}
    drawn = draw.ids if draw is not None else frozenset()
    everything = frozenset(common) if phase != "few" else frozenset()
    scenes: list[Scene] = []
    unlisted: list[Marked] = []
    placeless: list[Marked] = []
    for number, image in enumerate(images):
        scene = scene_of(number, image, number_of, everything, drawn if phase != "base" else frozenset())
        if len(scene.counting) or (phase in ("base", "joint") and not image.sample.is_defective):
            scenes.append(scene)
        elif image.boxes and not any(box.label in number_of for box in image.boxes):
            unlisted.append(image)
        elif image.sample.is_defective and not image.boxes:
            placeless.append(image)
    refuse_none(scenes, number_of, phase)
    return Scenes(tuple(scenes), left_out(unlisted, placeless))


def scene_of(
    number: int, image: Marked, number_of: dict[str, int], classes: frozenset[str], ids: frozenset[str]
) -> Scene:
    """The image with every box ignored that is neither of `classes` nor among `ids`."""
    counts = [box.label in classes or (box.id in ids and box.label in number_of) for box in image.boxes]
    labels = [number_of[box.label] if yes else IGNORED for box, yes in zip(image.boxes, counts, strict=True)]
    boxes = np.array([box.box_xyxy for box in image.boxes], np.float32).reshape(-1, 4)
    return Scene(number, image.size, boxes, np.array(labels, np.int64))


def refuse_none(scenes: Sequence[Scene], number_of: dict[str, int], phase: Phase) -> None:
    if not any(len(scene.counting) for scene in scenes):
        raise BlemishError(
            f"The training images must have boxes of the classes to learn ({', '.join(number_of)}). "
            f"Received: none for phase '{phase}'. Correct the names, or mark boxes in split 'train'."
        )


def left_out(unlisted: Sequence[Marked], placeless: Sequence[Marked]) -> tuple[str, ...]:
    notes = []
    if unlisted:
        labels = sorted({box.label for image in unlisted for box in image.boxes})
        notes.append(
            f"{images_from(unlisted)} left out: boxes of unlisted classes alone ({', '.join(labels)})"
        )
    if placeless:
        notes.append(f"{images_from(placeless)} left out: marked as defective without a place")
    return tuple(notes)


def images_from(images: Sequence[Marked]) -> str:
    first = images[0].sample.id
    return f"{first} is" if len(images) == 1 else f"{len(images)} images ({first}, …) are"
