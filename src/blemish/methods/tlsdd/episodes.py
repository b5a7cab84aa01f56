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

from blemish.methods.contract import Pixels
from blemish.methods.tlsdd.scenes import IGNORED, Scene
from blemish.methods.tlsdd.settings import Settings
from blemish.methods.tlsdd.supports import support_input
from blemish.methods.tlsdd.views import View, batched, fitted, mirrored, padded_boxes

Reader = Callable[[int], Pixels]  # a scene's number to its pixels [H, W, 3]


@dataclass(frozen=True)
class Example:
    """One box: scenes[scene].boxes[box]."""

    scene: int
    box: int


@dataclass(frozen=True)
class Episode:
    """What takes part, by class number: query images (each with the box it is drawn for) and supports."""

    queries: Mapping[int, Sequence[Example]]
    supports: Mapping[int, Sequence[Example]]


@dataclass(frozen=True)
class EpisodeSource:
    """Draws episodes. read: pixels of a scene's number; stage: keeps the draws of two stages apart."""

    settings: Settings
    read: Reader
    scenes: Sequence[Scene]
    seed: int
    stage: int

    def draw(self, step: int, rank: int = 0) -> dict[str, Tensor]:
        """The episode of a step.

        images: [Q, 3, H, W] in [0, 1]; sizes: [Q, 2] (h, w) before padding
        boxes: [Q, M, 4]; labels: [Q, M] class number, −1 padding, −2 ignored
        support_images: [S, 3, H, W]; support_sizes: [S, 2]; support_boxes: [S, 4]; support_labels: [S]
        supports: [S, 4, s, s], see `supports.support_input`, of the support's picture before resizing
        classes: [N] numbers of the classes that take part; boxes of the others are ignored
        """
        generator = np.random.default_rng([self.seed, self.stage, step, rank])
        episode = self.plan(generator)
        classes = list(episode.queries)
        queries = [self.query(one, classes, generator) for of in episode.queries.values() for one in of]
        drawn = [self.support(one, generator) for of in episode.supports.values() for one in of]
        views, inputs = [view for view, _ in drawn], [given for _, given in drawn]
        support_images, support_sizes = batched(views)
        supports: dict[str, NDArray[Any]] = {
            "support_images": support_images,
            "support_sizes": support_sizes,
            "support_boxes": np.concatenate([view.boxes for view in views]),
            "support_labels": np.concatenate([view.labels for view in views]),
            "supports": np.stack(inputs),
            "classes": np.array(classes, np.int64),
        }
        return as_tensors({**image_arrays(queries), **supports})

    def plan(self, generator: Generator) -> Episode:
        """Which images and boxes an episode has."""
        known = sorted(self.examples)
        ways = min(self.settings.ways or len(known), len(known))
        classes = sorted(int(number) for number in generator.choice(known, ways, replace=False))
        queries: dict[int, list[Example]] = {}
        taken: set[int] = set()
        for number in classes:
            queries[number] = self.choose_queries(number, taken, generator)
            taken |= {example.scene for example in queries[number]}
        supports = {
            number: self.choose_supports(number, {one.scene for one in queries[number]}, taken, generator)
            for number in classes
        }
        return Episode(queries, supports)

    def choose_queries(self, number: int, taken: set[int], generator: Generator) -> list[Example]:
        """A box in each of q images of the class, images not yet taken first; one image is left for supports.

        Where the class has fewer images, they come again.
        """
        examples = self.shuffled(number, generator)
        first = {example.scene: example for example in reversed(examples)}  # a random box of each image
        images = sorted(first.values(), key=lambda example: example.scene in taken)  # stable
        return cycled(images[: max(1, len(images) - 1)], self.settings.queries)

    def choose_supports(
        self, number: int, own: set[int], taken: set[int], generator: Generator
    ) -> list[Example]:
        """s boxes of the class from images that are no query, then from queries of other classes alone.

        Where they are fewer, they come again; where the class has a single image, it is both.
        """
        examples = self.shuffled(number, generator)
        others = [example for example in examples if example.scene not in own]
        others.sort(key=lambda example: example.scene in taken)  # stable
        return cycled(others or examples, self.settings.shots)

    def shuffled(self, number: int, generator: Generator) -> list[Example]:
        examples = self.examples[number]
        return [examples[place] for place in generator.permutation(len(examples))]

    @cached_property
    def examples(self) -> dict[int, list[Example]]:
        """The boxes of each class number."""
        found: dict[int, list[Example]] = {}
        for position, scene in enumerate(self.scenes):
            for box in scene.counting:
                found.setdefault(int(scene.labels[box]), []).append(Example(position, int(box)))
        return found

    def query(self, example: Example, classes: Sequence[int], generator: Generator) -> View:
        """The image of a query, with the boxes of classes that take part; the rest is ignored."""
        view = mirrored(view_of(self.scenes[example.scene], self.read), self.settings, generator)
        labels = np.where(np.isin(view.labels, classes), view.labels, IGNORED)
        return fitted(replace(view, labels=labels), self.settings, example.box, generator)

    def support(self, example: Example, generator: Generator) -> tuple[View, NDArray[np.float32]]:
        """The image of a support with its one box, and the input of the reweighting for it."""
        whole = view_of(self.scenes[example.scene], self.read)
        own = slice(example.box, example.box + 1)
        view = mirrored(View(whole.pixels, whole.boxes[own], whole.labels[own]), self.settings, generator)
        given = support_input(view.pixels, view.boxes[0].tolist(), self.settings)
        return fitted(view, self.settings, 0, generator), given


@dataclass(frozen=True)
class ImageSource:
    """Draws plain images, clean ones too. Arguments: see `EpisodeSource`."""

    settings: Settings
    read: Reader
    scenes: Sequence[Scene]
    seed: int
    stage: int

    def draw(self, step: int, rank: int = 0) -> dict[str, Tensor]:
        """images, sizes, boxes and labels of a step, as an episode's queries have them."""
        generator = np.random.default_rng([self.seed, self.stage, step, rank])
        count, batch = len(self.scenes), self.settings.batch
        chosen = generator.choice(count, batch, replace=batch > count)
        return as_tensors(image_arrays([self.image(self.scenes[int(n)], generator) for n in chosen]))

    def image(self, scene: Scene, generator: Generator) -> View:
        view = mirrored(view_of(scene, self.read), self.settings, generator)
        focus = int(generator.choice(scene.counting)) if len(scene.counting) else None
        return fitted(view, self.settings, focus, generator)


def view_of(scene: Scene, read: Reader) -> View:
    """The scene as it lies on disk."""
    return View(read(scene.number), scene.boxes, scene.labels)


def cycled(examples: Sequence[Example], count: int) -> list[Example]:
    """The first `count` of the examples, which come again in the same order when they are fewer."""
    return [examples[number % len(examples)] for number in range(count)]


def image_arrays(views: Sequence[View]) -> dict[str, NDArray[Any]]:
    images, sizes = batched(views)
    boxes, labels = padded_boxes(views)
    return {"images": images, "sizes": sizes, "boxes": boxes, "labels": labels}


def as_tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
