"""Rows of a class that is added without training, from any of its examples.

A closed-form row of its own (see `closed_form`) where training kept the background that it is told from. In
an older bundle, TL-SDD eqs. 1 and 2: a vector of weights and a prototype, both means over the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from zlib import crc32

import numpy as np
from numpy.random import Generator

from blemish.arrays import Box, Floats
from blemish.methods.capabilities import ALARMS, ClassThreshold, Example, Negative
from blemish.methods.tlsdd.class_bank.bank import ClassEntry
from blemish.methods.tlsdd.class_bank.closed_form import MIN_LEVEL, Moments, logit_row, mixed
from blemish.methods.tlsdd.class_bank.enrolled import EnrolledRow, KnownClasses
from blemish.methods.tlsdd.class_bank.entries import (
    ExampleFeatures,
    class_entry,
    example_regions,
    extract,
    image_regions,
    negative_features,
)
from blemish.methods.tlsdd.class_bank.own_threshold import Evidence, LeftOut, found_on, left_out_on
from blemish.methods.tlsdd.class_bank.regions import ExampleRegions, ImageRegions
from blemish.methods.tlsdd.class_bank.tuned_rows import tuned_row
from blemish.methods.tlsdd.runtime.parts import Parts

MAX_FOLDS = 10  # groups of images that are left out in turn
HALF = 0.5  # share of the level from which a box is a defect, where nothing else says so


@dataclass(frozen=True)
class RowWay:
    """Way to make the rows of a class: tuned or not, with the level and threshold that go with it.

    level: mean IoU that examples' boxes are predicted to have by rows without their images
    cut: predicted IoU at the threshold
    """

    tuned: bool
    level: float
    cut: float
    threshold: ClassThreshold


@dataclass(frozen=True)
class ClassRows:
    """Computes a class's row from some of its examples, all negatives, and what the bundle has of it.

    number: of the class among all; num_earlier: examples that the bundle has of it
    threshold: score from which the bundle calls a box a defect
    tune: whether rows may be tuned on the regions of the examples' images, see `tuned_rows`
    alarms: see `capabilities.AddsClasses.enrol`
    """

    parts: Parts
    known: KnownClasses
    number: int
    num_earlier: int
    threshold: float
    examples: tuple[Example, ...]
    negatives: tuple[Negative, ...] = ()
    tune: bool = False
    alarms: float = ALARMS

    def classes_from(self, examples: Sequence[Example]) -> KnownClasses:
        """Make the classes with this one from these examples."""
        entry = class_entry(self.parts, [self.features[example.id] for example in examples])
        enrolled = self.known.enrolled
        if enrolled is None:
            return KnownClasses(self.known.bank.with_classes([entry]), None)
        moments = self.positives(examples) + self.others
        way = self.way
        weights = logit_row(self.row_from(examples, tuned=way.tuned), way.level, way.cut, self.threshold)
        row = EnrolledRow(weights, self.with_earlier(entry, len(examples)), moments)
        return KnownClasses(self.known.bank, enrolled.with_row(self.place, row))

    def row_from(self, examples: Sequence[Example], *, tuned: bool) -> Floats:
        """Weights of IoU and deltas from these examples, [Z, 5]."""
        enrolled = self.known.enrolled
        assert enrolled is not None
        moments = self.positives(examples) + self.others
        if not tuned:
            return moments.row(enrolled.background)
        about = [self.regions[each.id] for each in examples]
        around = [self.surroundings[each.id].labelled for each in examples]
        return tuned_row(moments, about, around, enrolled.background)

    @property
    def place(self) -> int:
        """Number of the class among those behind the bank."""
        return self.number - len(self.known.bank.known)

    @cached_property
    def features(self) -> dict[str, ExampleFeatures]:
        """Features of each example by its id, extracted once for all folds."""
        generator = np.random.default_rng(len(self.known.bank.known))
        return {example.id: extract(self.parts, example, generator) for example in self.examples}

    # Closed-form rows

    @cached_property
    def regions(self) -> dict[str, ExampleRegions]:
        """Boxes about each example by its id, its own first.

        Boxes about it are drawn by its id, so that it counts the same whichever examples come with it.
        """
        return {
            example.id: example_regions(self.parts, example, self.beside(example), generator_of(example))
            for example in self.examples
        }

    def positives(self, examples: Sequence[Example]) -> Moments:
        """Moments of examples and of those that the bundle has."""
        new = [self.regions[example.id].moments for example in examples]
        return reduce(add, new, self.earlier)

    @cached_property
    def earlier(self) -> Moments:
        """Moments of the class as the bundle has it."""
        enrolled = self.known.enrolled
        assert enrolled is not None
        return enrolled.rows[self.place].moments if self.num_earlier else Moments.none(enrolled.features)

    @cached_property
    def others(self) -> Moments:
        """Moments of the negatives."""
        enrolled = self.known.enrolled
        assert enrolled is not None
        each = [Moments.of_negatives(features) for features in self.negative_features]
        return reduce(add, each, Moments.none(enrolled.features))

    @cached_property
    def negative_features(self) -> list[Floats]:
        """Features [R, F] of each negative's regions, of good images those that the row of all examples takes
        for the class most.
        """
        enrolled = self.known.enrolled
        assert enrolled is not None
        row = self.positives(self.examples).row(enrolled.background)
        generator = np.random.default_rng(len(self.known.bank.known))
        return [
            negative_features(self.parts, negative, self.known.bank, row, generator)
            for negative in self.negatives
        ]

    def beside(self, example: Example) -> list[Box]:
        """Boxes of the other examples of an example's image."""
        return [each.box_xyxy for each in self.examples if each.image == example.image and each != example]

    # Ways to make a row, and the threshold of each

    @cached_property
    def way(self) -> RowWay:
        """Tuned rows, unless left-out examples are found better without, or `tune` forbids it."""
        ways = [self.judged(tuned=tuned) for tuned in ((True, False) if self.tune else (False,))]
        return max(ways, key=lambda way: way.threshold.found)

    def judged(self, *, tuned: bool) -> RowWay:
        """Choose level and threshold for rows that are tuned, or not."""
        folds = [(self.row_from(kept, tuned=tuned), left_out) for kept, left_out in folds_of(self.examples)]
        predicted = [
            logit_of(row[:, 0], self.regions[each.id].features[0]) for row, images in folds for each in images
        ]
        level = max(float(np.mean(predicted)), MIN_LEVEL)
        row = self.row_from(self.examples, tuned=tuned)
        evidence = Evidence(
            kept=tuple(found_on(row, image, self.parts.settings)[1] for image in self.kept),
            good=tuple(found_on(row, image, self.parts.settings)[1] for image in self.good),
            left_out=tuple(image for fold in folds for image in self.left_out(*fold))
            if len(folds) > 1
            else (),
        )
        cut = evidence.cut(self.alarms, otherwise=HALF * level)
        return RowWay(tuned, level, cut, evidence.threshold(cut, confidence=self.threshold, tuned=tuned))

    def left_out(self, row: Floats, examples: Sequence[Example]) -> list[LeftOut]:
        """Findings on each image of examples by a row [Z, 5] made without them."""
        found: dict[str, list[LeftOut]] = {}
        for each in examples:
            of_example = left_out_on(row, self.surroundings[each.id], self.parts.settings)
            found.setdefault(each.image, []).append(of_example)
        return [
            LeftOut(tuple(each.examples[0] for each in of_image), of_image[0].false)
            for of_image in found.values()
        ]

    @cached_property
    def surroundings(self) -> dict[str, ImageRegions]:
        """Regions of each example's image, by its id, that the class is looked for in."""
        return {
            example.id: image_regions(
                self.parts,
                example.pixels,
                [example.box_xyxy, *self.beside(example)],
                self.known.bank,
                generator_of(example),
            )
            for example in self.examples
        }

    @cached_property
    def kept(self) -> list[ImageRegions]:
        """Regions of training images that the bundle keeps; none in bundles of before it kept any."""
        sample = self.known.enrolled.sample if self.known.enrolled is not None else None
        return [] if sample is None else sample.images

    @cached_property
    def good(self) -> list[ImageRegions]:
        """Regions of the good parts."""
        generator = np.random.default_rng(len(self.known.bank.known))
        return [
            image_regions(self.parts, negative.pixels, (), self.known.bank, generator)
            for negative in self.negatives
            if negative.boxes is None
        ]

    def with_earlier(self, entry: ClassEntry, count: int) -> ClassEntry:
        """Vector and prototype of these and the bundle's examples, for similarities alone.

        count: of these examples; a mean weighted by their numbers
        """
        if not self.num_earlier:
            return entry
        whole, share = self.known.whole, count / (count + self.num_earlier)
        prototype = mixed(whole.prototypes[self.number], entry.prototype, share)
        if self.parts.settings.normalize:
            prototype = prototype / np.maximum(np.linalg.norm(prototype), np.float32(1e-12))
        return ClassEntry(mixed(whole.class_vectors[self.number], entry.vector, share), prototype)


def generator_of(example: Example) -> Generator:
    """Generator of the boxes about an example, the same whichever examples come with it."""
    return np.random.default_rng(crc32(example.id.encode()))


def logit_of(row: Floats, features: Floats) -> float:
    """Value of a row [Z] at a region's features [F]."""
    return float(features @ row[:-1] + row[-1])


def folds_of(examples: Sequence[Example]) -> list[tuple[list[Example], list[Example]]]:
    """Examples kept and examples left out, for each fold. The examples of a single image are both."""
    images = list(dict.fromkeys(example.image for example in examples))
    if len(images) == 1:
        return [(list(examples), list(examples))]
    groups = [images[first::MAX_FOLDS] for first in range(min(MAX_FOLDS, len(images)))]
    return [
        (
            [example for example in examples if example.image not in group],
            [example for example in examples if example.image in group],
        )
        for group in groups
    ]
