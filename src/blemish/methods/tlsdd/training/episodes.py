"""Batches of training: episodes of supports and queries, and plain images. All follow from seed and step.

Source: TL-SDD section III-B: an episode has N classes with s support and q query images each.
Letters: Q query images, S = N·s supports, K classes, M boxes, s side of a support's input.
Deviation: supports are boxes, not images, so that a class has s of them whatever its images hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from blemish.arrays import Floats, Pixels
from blemish.methods.tlsdd.data.supports import support_input
from blemish.methods.tlsdd.data.training_images import IGNORED, TrainingImage
from blemish.methods.tlsdd.data.views import View, batched, fitted, mirrored, padded_boxes
from blemish.methods.tlsdd.settings import TlsddSettings

ReadImage = Callable[[int], Pixels]  # the number of a training image to its pixels [H, W, 3]


@dataclass(frozen=True)
class BoxPlace:
    """Place of a box that an episode draws: images[image].boxes[box]."""

    image: int
    box: int


@dataclass(frozen=True)
class Episode:
    """Plan of an episode by class number: query images (each by the box it is drawn for) and supports.

    clean: places among the images of queries without a defect, of no class
    """

    queries: Mapping[int, Sequence[BoxPlace]]
    supports: Mapping[int, Sequence[BoxPlace]]
    clean: Sequence[int] = ()


@dataclass(frozen=True)
class EpisodeSampler:
    """Draws episodes. read: pixels of an image's number; stage: keeps the draws of two stages apart."""

    settings: TlsddSettings
    read: ReadImage
    images: Sequence[TrainingImage]
    seed: int
    stage: int

    def draw(self, step: int, rank: int = 0) -> dict[str, Tensor]:
        """Tensors of the episode of a step.

        images: [Q, 3, H, W] in [0, 1]; sizes: [Q, 2] (h, w) before padding
        boxes: [Q, M, 4]; labels: [Q, M] class number, −1 padding, −2 ignored
        support_images: [S, 3, H, W]; support_sizes: [S, 2]; support_boxes: [S, 4]; support_labels: [S]
        supports: [S, 4, s, s], see `supports.support_input`, of the support's image before resizing
        classes: [N] numbers of the classes that take part; boxes of the others are ignored
        """
        generator = np.random.default_rng([self.seed, self.stage, step, rank])
        episode = self.plan(generator)
        classes = list(episode.queries)
        queries = [
            self.query(place, classes, generator) for places in episode.queries.values() for place in places
        ]
        drawn = [self.support(place, generator) for places in episode.supports.values() for place in places]
        views = [view for view, _ in drawn]
        support_images, support_sizes = batched(views, self.settings.padding)
        supports: dict[str, NDArray[Any]] = {
            "support_images": support_images,
            "support_sizes": support_sizes,
            "support_boxes": np.concatenate([view.boxes for view in views]),
            "support_labels": np.concatenate([view.labels for view in views]),
            "supports": np.stack([support for _, support in drawn]),
            "classes": np.array(classes, np.int64),
        }
        clean = [self.clean_view(position, generator) for position in episode.clean]
        return as_tensors({**image_arrays([*queries, *clean], self.settings), **supports})

    def plan(self, generator: Generator) -> Episode:
        """Choose the images and boxes of an episode."""
        known = sorted(self.places)
        ways = min(self.settings.ways or len(known), len(known))
        classes = sorted(int(number) for number in generator.choice(known, ways, replace=False))
        queries: dict[int, list[BoxPlace]] = {}
        taken: set[int] = set()
        for number in classes:
            queries[number] = self.choose_queries(number, taken, generator)
            taken |= {place.image for place in queries[number]}
        supports = {
            number: self.choose_supports(number, {place.image for place in queries[number]}, taken, generator)
            for number in classes
        }
        return Episode(queries, supports, drawn_clean(self.images, self.settings.clean_queries, generator))

    def choose_queries(self, number: int, taken: set[int], generator: Generator) -> list[BoxPlace]:
        """Choose a box in each of q images of a class, untaken ones first; an image is left for supports.

        Where the class has fewer images, they come again.
        """
        places = self.shuffled(number, generator)
        first = {place.image: place for place in reversed(places)}  # a random box of each image
        images = sorted(first.values(), key=lambda place: place.image in taken)  # stable
        return cycled(images[: max(1, len(images) - 1)], self.settings.queries)

    def choose_supports(
        self, number: int, own: set[int], taken: set[int], generator: Generator
    ) -> list[BoxPlace]:
        """Choose s boxes of a class from images that are no query, then from queries of other classes alone.

        Where they are fewer, they come again; where the class has a single image, it is both.
        """
        places = self.shuffled(number, generator)
        others = [place for place in places if place.image not in own]
        others.sort(key=lambda place: place.image in taken)  # stable
        return cycled(others or places, self.settings.shots)

    def shuffled(self, number: int, generator: Generator) -> list[BoxPlace]:
        """Places of a class's boxes in random order."""
        places = self.places[number]
        return [places[position] for position in generator.permutation(len(places))]

    @cached_property
    def places(self) -> dict[int, list[BoxPlace]]:
        """Places of the boxes of each class number."""
        return box_places(self.images)

    def query(self, place: BoxPlace, classes: Sequence[int], generator: Generator) -> View:
        """View of a query's image, with the boxes of classes that take part; the rest is ignored."""
        view = mirrored(view_of(self.images[place.image], self.read), self.settings, generator)
        labels = np.where(np.isin(view.labels, classes), view.labels, IGNORED)
        return fitted(replace(view, labels=labels), self.settings, place.box, generator)

    def clean_view(self, position: int, generator: Generator) -> View:
        """View of an image without a defect."""
        view = mirrored(view_of(self.images[position], self.read), self.settings, generator)
        return fitted(view, self.settings, None, generator)

    def support(self, place: BoxPlace, generator: Generator) -> tuple[View, Floats]:
        """View of a support's image with its one box, and the input of the reweighting for it."""
        whole = view_of(self.images[place.image], self.read)
        own = slice(place.box, place.box + 1)
        view = mirrored(View(whole.pixels, whole.boxes[own], whole.labels[own]), self.settings, generator)
        support = support_input(view.pixels, view.boxes[0].tolist(), self.settings)
        return fitted(view, self.settings, 0, generator), support


@dataclass(frozen=True)
class ImageSampler:
    """Draws plain images, clean ones too. Arguments: see `EpisodeSampler`.

    by_class: draw a class, then an image of it, and `clean_queries` of the images without a defect; else each
        image is drawn as often
    """

    settings: TlsddSettings
    read: ReadImage
    images: Sequence[TrainingImage]
    seed: int
    stage: int
    by_class: bool = False

    def draw(self, step: int, rank: int = 0) -> dict[str, Tensor]:
        """Tensors images, sizes, boxes and labels of a step, as `EpisodeSampler.draw` gives them."""
        generator = np.random.default_rng([self.seed, self.stage, step, rank])
        chosen = self.balanced(generator) if self.by_class else self.uniform(generator)
        views = [self.view(self.images[position], generator) for position in chosen]
        return as_tensors(image_arrays(views, self.settings))

    def uniform(self, generator: Generator) -> list[int]:
        """Draw the images of a step, each as likely."""
        count, batch = len(self.images), self.settings.batch
        return [int(position) for position in generator.choice(count, batch, replace=batch > count)]

    def balanced(self, generator: Generator) -> list[int]:
        """Draw the images of a step by class; classes take turns where they are fewer than the images."""
        batch = self.settings.batch
        clean = drawn_clean(self.images, min(self.settings.clean_queries, batch - 1), generator)
        order = generator.permutation(sorted(self.places))
        classes = [int(order[turn % len(order)]) for turn in range(batch - len(clean))]
        return [
            *clean,
            *(
                self.places[number][int(generator.integers(len(self.places[number])))].image
                for number in classes
            ),
        ]

    @cached_property
    def places(self) -> dict[int, list[BoxPlace]]:
        """Places of the boxes of each class number."""
        return box_places(self.images)

    def view(self, image: TrainingImage, generator: Generator) -> View:
        """Draw a view of an image; where that is cut, about a random box of it."""
        view = mirrored(view_of(image, self.read), self.settings, generator)
        focus = int(generator.choice(image.counting)) if len(image.counting) else None
        return fitted(view, self.settings, focus, generator)


def view_of(image: TrainingImage, read: ReadImage) -> View:
    """View of an image as it lies on disk."""
    return View(read(image.number), image.boxes, image.labels)


def box_places(images: Sequence[TrainingImage]) -> dict[int, list[BoxPlace]]:
    """Places of the boxes of each class number, ignored ones left out."""
    found: dict[int, list[BoxPlace]] = {}
    for position, image in enumerate(images):
        for box in image.counting:
            found.setdefault(int(image.labels[box]), []).append(BoxPlace(position, int(box)))
    return found


def drawn_clean(images: Sequence[TrainingImage], count: int, generator: Generator) -> list[int]:
    """Draw the places of `count` images without a defect; none where there are none, then again the same."""
    clean = [position for position, image in enumerate(images) if not len(image.labels)]
    if not clean or not count:
        return []
    return [int(place) for place in generator.choice(clean, count, replace=count > len(clean))]


def cycled(places: Sequence[BoxPlace], count: int) -> list[BoxPlace]:
    """Take the first `count` places, repeated in their order where they are fewer."""
    return [places[number % len(places)] for number in range(count)]


def image_arrays(views: Sequence[View], settings: TlsddSettings) -> dict[str, NDArray[Any]]:
    """Arrays of a batch of images, by the names of `EpisodeSampler.draw`."""
    images, sizes = batched(views, settings.padding)
    boxes, labels = padded_boxes(views)
    return {"images": images, "sizes": sizes, "boxes": boxes, "labels": labels}


def as_tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
