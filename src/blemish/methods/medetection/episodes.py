"""Products and what is drawn from them: episodes of meta-training, batches of fine-tuning, fixed pairs.

Source: Zhang et al. 2023, Algorithm 1: K support images of a task, then query images of the same task. All
draws follow from seed and step. Deviations: normal and defective images are drawn in equal numbers, so that
a product with few defects is not all normal; a reference is never the image itself.
Letters: P products, S supports, Q queries, N images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from blemish.methods.medetection.gallery import VIEWS
from blemish.methods.medetection.settings import Settings

HALVES, META, TUNING = range(3)  # what draws are for; part of their seeds
# An image and normals to those most like it, (number, quarter turns); never the image itself.
Neighbours = Callable[[int, Sequence[int]], list[tuple[int, int]]]


@dataclass(frozen=True)
class Product:
    """One task: numbers of its normal and defective images, disjoint."""

    name: str
    normals: tuple[int, ...]
    defectives: tuple[int, ...]


@dataclass(frozen=True)
class Drawn:
    """Images with their references. All: [N] int64

    images, references: numbers; turns: quarter turns of each reference; labels: 1 for defective
    views: see `gallery.VIEWS`
    """

    images: NDArray[np.int64]
    references: NDArray[np.int64]
    turns: NDArray[np.int64]
    labels: NDArray[np.int64]
    views: NDArray[np.int64]

    def tensors(self) -> dict[str, Tensor]:
        return {one.name: torch.from_numpy(getattr(self, one.name)) for one in fields(self)}


def halves(product: Product, share: float, seed: int) -> tuple[Product, Product]:
    """The product's support and query pools; each has an image of either kind, and a reference for it."""
    generator = np.random.default_rng([seed, HALVES])
    pools: tuple[tuple[list[int], list[int]], ...] = ([], []), ([], [])
    for kind, numbers in enumerate((product.normals, product.defectives)):
        order = [numbers[place] for place in generator.permutation(len(numbers))]
        least = 1 if len(order) > 1 else 0
        cut = min(max(round(share * len(order)), least), len(order) - least)
        pools[0][kind].extend(order[:cut] or order)
        pools[1][kind].extend(order[cut:] or order)
    first, second = (Product(product.name, tuple(normals), tuple(bad)) for normals, bad in pools)
    return first, second


@dataclass(frozen=True)
class EpisodeSource:
    """Draws the episodes of meta-training. Each product has a support and a query pool.

    neighbours: where references are the nearest, see `Neighbours`
    """

    settings: Settings
    pools: Sequence[tuple[Product, Product]]
    seed: int
    neighbours: Neighbours | None = None

    def draw(self, step: int, rank: int = 0) -> dict[str, Tensor]:
        """The episodes of a step, fields of `Drawn` as [P, S + Q], supports first.

        References of supports and queries are both supports' normals.
        """
        generator = np.random.default_rng([self.seed, META, step, rank])
        count = min(self.settings.products_per_step or len(self.pools), len(self.pools))
        chosen = [self.pools[place] for place in generator.permutation(len(self.pools))[:count]]
        episodes = [self.episode(support, query, generator).tensors() for support, query in chosen]
        return {name: torch.stack([one[name] for one in episodes]) for name in episodes[0]}

    def episode(self, support: Product, query: Product, generator: Generator) -> Drawn:
        drawing = Drawing(support.normals, self.settings.flips, self.neighbours)
        return joined(
            [
                drawing.draw(support, self.settings.support, generator),
                drawing.draw(query, self.settings.query, generator),
            ]
        )


@dataclass(frozen=True)
class TuningSource:
    """Draws the batches of fine-tuning on one product."""

    settings: Settings
    product: Product
    seed: int
    neighbours: Neighbours | None = None

    def draw(self, step: int, rank: int = 0) -> dict[str, Tensor]:
        """Fields of `Drawn`."""
        generator = np.random.default_rng([self.seed, TUNING, step, rank])
        drawing = Drawing(self.product.normals, self.settings.flips, self.neighbours)
        return drawing.draw(self.product, self.settings.batch, generator).tensors()


@dataclass(frozen=True)
class Drawing:
    """How images are drawn, each with one of the normals: any, or one of the nearest."""

    normals: tuple[int, ...]
    flips: bool
    neighbours: Neighbours | None

    def draw(self, product: Product, count: int, generator: Generator) -> Drawn:
        """`count` images, half of them defective; they come again only where there are too few of a kind."""
        bad = count // 2
        parts = [
            cycled(product.normals, count - bad, generator),
            cycled(product.defectives, bad, generator),
        ]
        images = np.concatenate(parts)
        labels = np.repeat(np.array([0, 1], np.int64), [len(part) for part in parts])
        references = np.array([self.reference(int(one), generator) for one in images], np.int64)
        views = generator.integers(VIEWS if self.flips else 1, size=len(images))
        return Drawn(images, references[:, 0], references[:, 1], labels, views)

    def reference(self, image: int, generator: Generator) -> tuple[int, int]:
        """A number, and its quarter turns; the image itself only where there is no other normal."""
        if self.neighbours is not None:
            near = self.neighbours(image, self.normals)
        else:
            near = [(normal, 0) for normal in self.normals if normal != image]
        return near[int(generator.integers(len(near)))] if near else (image, 0)


def fixed_pairs(product: Product, normals: Sequence[int], count: int, neighbours: Neighbours | None) -> Drawn:
    """Every image of the product with its `count` references, which inspection compares it with.

    They are the first of the normals, or the nearest. Pairs of an image follow each other.
    """
    rows = []
    for label, images in enumerate((product.normals, product.defectives)):
        for image in images:
            near = neighbours(image, normals) if neighbours else [(normal, 0) for normal in normals]
            rows += [(image, reference, turns, label, 0) for reference, turns in near[:count]]
    return Drawn(*np.array(rows, np.int64).reshape(-1, 5).T)


def joined(parts: Sequence[Drawn]) -> Drawn:
    """The parts one after the other."""
    return Drawn(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Drawn)))


def cycled(numbers: Sequence[int], count: int, generator: Generator) -> NDArray[np.int64]:
    """`count` of the numbers, shuffled anew each time all have been drawn."""
    rounds = -(-count // len(numbers)) if numbers else 0
    orders = [generator.permutation(len(numbers)) for _ in range(rounds)]
    places = np.concatenate([*orders, np.zeros(0, np.int64)])[:count].astype(np.int64)
    return np.array(numbers, np.int64)[places]
