"""Training split of TL-SDD: common and rare classes, boxes, and the few drawn of each class.

Source: TL-SDD section III-B, and the few-shot protocol of the method's README.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from numpy.random import Generator

from blemish.arrays import Pixels
from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.dataset.splits.support_sets import SupportSet, load_support_set, sample_support_set
from blemish.errors import BlemishError
from blemish.methods.capabilities import Example
from blemish.methods.contract import Trainer
from blemish.methods.tlsdd.data.training_images import (
    AnnotatedImage,
    AnnotatedImages,
    Phase,
    TrainingImage,
    phase_images,
)
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.methods.tlsdd.training.checks import refuse_lacking
from blemish.methods.tlsdd.training.validation_images import labels_of


@dataclass(frozen=True)
class TrainingSplit:
    """Classes and boxes of a dataset's split "train", each read once."""

    dataset: Dataset
    settings: TlsddSettings  # without "auto"
    trainer: Trainer
    annotated: AnnotatedImages  # of the split, see `read_annotations`

    @cached_property
    def common(self) -> tuple[str, ...]:
        """Classes of base training, in the order of the class numbers."""
        if self.trainer.initial_bundle is not None:
            return self.trainer.initial_bundle.manifest.class_names
        return self.settings.common

    @cached_property
    def rare(self) -> tuple[str, ...]:
        """Classes that phase 2 adds, behind the common ones."""
        rare = self.settings.rare
        assert rare != "auto"
        both = [name for name in rare if name in self.common]
        if both:
            raise BlemishError(
                f"setting rare must name classes that the start bundle does not have. Received: '{both[0]}'. "
                "Leave it out."
            )
        return rare

    @property
    def class_names(self) -> tuple[str, ...]:
        """All classes, in the order of the class numbers."""
        return (*self.common, *self.rare)

    @cached_property
    def draw(self) -> SupportSet | None:
        """Drawn boxes of each class; None where no class is rare."""
        if not self.rare:
            return None
        digest = fingerprint(self.dataset)
        if self.settings.draw_file:
            file = Path(self.settings.draw_file)
            draw = load_support_set(file, self.dataset, boxes=self.annotated.boxes, data_fingerprint=digest)
            refuse_lacking(draw, self.rare, file)
            return draw
        seed = self.trainer.seed if self.settings.draw_seed is None else self.settings.draw_seed
        return sample_support_set(
            self.dataset,
            self.class_names,
            self.settings.fine_tune_boxes or self.settings.shots,
            seed,
            boxes=self.annotated.boxes,
            data_fingerprint=digest,
        )

    def images(self, phase: Phase) -> tuple[TrainingImage, ...]:
        """Images of a phase; a line on those left out is noted."""
        found = phase_images(
            self.annotated.images,
            self.common,
            self.rare,
            self.draw,
            phase=phase,
            clean=self.settings.clean_queries > 0,
        )
        for note in found.notes:
            self.trainer.note(note)
        return found.images

    def labelled_samples(self, names: Collection[str]) -> list[Sample]:
        """Images whose labels are known where the classes are `names`: clean ones, those of common classes,
        and those of drawn boxes. A defect of a rare class that was not drawn has no place there.
        """
        drawn = self.draw.ids if self.draw is not None and {*names} > {*self.common} else frozenset()
        return [
            with_known_places(image, {*self.common}, drawn)
            for image in self.annotated.images
            if not image.sample.is_defective
            or labels_of(image.sample) & {*self.common}
            or any(box.id in drawn for box in image.boxes)
        ]

    def read(self, number: int) -> Pixels:
        """Pixels [H, W, 3] of a training image, by its number."""
        return self.trainer.read(self.annotated.images[number].sample, 3)

    def bank_examples(self, name: str, generator: Generator) -> list[Example]:
        """Boxes that stand for a class: of a rare one those drawn."""
        drawn = self.draw.ids if self.draw is not None and name in self.rare else None
        boxes = [
            (number, box)
            for number, image in enumerate(self.annotated.images)
            for box in image.boxes
            if box.label == name and (drawn is None or box.id in drawn)
        ]
        order = generator.permutation(len(boxes))[: self.settings.prototypes_per_class]
        return [
            Example(box.id, self.annotated.images[number].sample.id, self.read(number), box.box_xyxy)
            for number, box in (boxes[place] for place in order)
        ]


def with_known_places(image: AnnotatedImage, common: Set[str], drawn: Set[str]) -> Sample:
    """Sample of an image, in which annotations of other than common classes have no place if one of the
    image's boxes of such classes was not drawn.
    """
    if all(box.id in drawn for box in image.boxes if box.label not in common):
        return image.sample
    annotations = (
        mark if mark.label in common else Annotation(mark.label, id=mark.id)
        for mark in image.sample.annotations
    )
    return replace(image.sample, annotations=tuple(annotations))
