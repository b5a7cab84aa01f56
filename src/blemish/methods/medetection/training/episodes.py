"""Products, and the pairs drawn from them: episodes of meta-training, batches of fine-tuning, fixed pairs.

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

from blemish.methods.medetection.settings import MedetectionSettings
from blemish.methods.medetection.training.feature_cache import VIEWS

SPLIT, META, TUNING = range(3)  # purposes of draws; part of their seeds
# From an image and normals to the normals most like it, (number, quarter turns); never the image itself.
Neighbours = Callable[[int, Sequence[int]], list[tuple[int, int]]]


@dataclass(frozen=True)
class Product:
    """A task: numbers of its normal and of its defective images, disjoint."""

    name: str
    normals: tuple[int, ...]
    defectives: tuple[int, ...]


@dataclass(frozen=True)
class PairBatch:
    """Images with their references, all [N] int64.

    images, references: numbers; turns: quarter turns of each reference; labels: 1 for defective
    views: see `feature_cache.VIEWS`
    """

    images: NDArray[np.int64]
    references: NDArray[np.int64]
    turns: NDArray[np.int64]
    labels: NDArray[np.int64]
    views: NDArray[np.int64]

    def tensors(self) -> dict[str, Tensor]:
        """Fields by name, as tensors."""
        return {field.name: torch.from_numpy(getattr(self, field.name)) for field in fields(self)}


def support_query_split(product: Product, share: float, seed: int) -> tuple[Product, Product]:
    """Split a product into a support and a query pool, each with images of both kinds and a reference.

    share: of the images that goes to the support pool
    """
    generator = np.random.default_rng([seed, SPLIT])
    pools: tuple[tuple[list[int], list[int]], ...] = ([], []), ([], [])
    for kind, numbers in enumerate((product.normals, product.defectives)):
        order = [numbers[place] for place in generator.permutation(len(numbers))]
        smallest = 1 if len(order) > 1 else 0
        cut = min(max(round(share * len(order)), smallest), len(order) - smallest)
        pools[0][kind].extend(order[:cut] or order)
        pools[1][kind].extend(order[cut:] or order)
    first, second = (Product(product.name, tuple(normals), tuple(bad)) for normals, bad in pools)
    return first, second


@dataclass(frozen=True)
class MetaSource:
    """Draws the episodes of meta-training.

    pools: support and query pool of each product; neighbours: given where references are the nearest
    """

    settings: MedetectionSettings
    pools: Sequence[tuple[Product, Product]]
    seed: int
    neighbours: Neighbours | None = None

    def draw(self, step: int, rank: int = 0) -> dict[str, Tensor]:
        """Episodes of a step: fields of `PairBatch` as [P, S + Q], supports first.

        References of supports and queries alike are normals of the support pool.
        """
        generator = np.random.default_rng([self.seed, META, step, rank])
        count = min(self.settings.products_per_step or len(self.pools), len(self.pools))
        chosen = [self.pools[place] for place in generator.permutation(len(self.pools))[:count]]
        episodes = []
        for support, query in chosen:
            drawing = Drawing(support.normals, self.settings.flips, self.neighbours)
            supports = drawing.draw(support, self.settings.support, generator).tensors()
            queries = drawing.draw(query, self.settings.query, generator).tensors()
            episodes.append({name: torch.cat([supports[name], queries[name]]) for name in supports})
        return {name: torch.stack([episode[name] for episode in episodes]) for name in episodes[0]}


@dataclass(frozen=True)
class TuningSource:
    """Draws the batches of fine-tuning on one product."""

    settings: MedetectionSettings
    product: Product
    seed: int
    neighbours: Neighbours | None = None

    def draw(self, step: int, rank: int = 0) -> dict[str, Tensor]:
        """Batch of a step: fields of `PairBatch`, [N] each."""
        generator = np.random.default_rng([self.seed, TUNING, step, rank])
        drawing = Drawing(self.product.normals, self.settings.flips, self.neighbours)
        return drawing.draw(self.product, self.settings.batch, generator).tensors()


@dataclass(frozen=True)
class Drawing:
    """Draws images of a product, each with a reference among `normals`: any, or one of the nearest."""

    normals: tuple[int, ...]
    flips: bool
    neighbours: Neighbours | None

    def draw(self, product: Product, count: int, generator: Generator) -> PairBatch:
        """Draw `count` images, half of them defective; one repeats only where its kind has too few."""
        num_defective = count // 2
        normal = cycled(product.normals, count - num_defective, generator)
        defective = cycled(product.defectives, num_defective, generator)
        images = np.concatenate([normal, defective])
        labels = np.repeat(np.array([0, 1], np.int64), [len(normal), len(defective)])
        references = np.array([self.reference(int(image), generator) for image in images], np.int64)
        views = generator.integers(VIEWS if self.flips else 1, size=len(images))
        return PairBatch(images, references[:, 0], references[:, 1], labels, views)

    def reference(self, image: int, generator: Generator) -> tuple[int, int]:
        """Number and quarter turns of a reference; the image itself only where there is no other normal."""
        if self.neighbours is not None:
            near = self.neighbours(image, self.normals)
        else:
            near = [(normal, 0) for normal in self.normals if normal != image]
        return near[int(generator.integers(len(near)))] if near else (image, 0)


def fixed_pairs(
    product: Product, normals: Sequence[int], count: int, neighbours: Neighbours | None
) -> PairBatch:
    """Pair every image of the product with the `count` references that inspection compares it with.

    They are the first of the normals, or the nearest. Pairs of an image follow each other.
    """
    rows = []
    for label, images in enumerate((product.normals, product.defectives)):
        for image in images:
            near = neighbours(image, normals) if neighbours else [(normal, 0) for normal in normals]
            rows += [(image, reference, turns, label, 0) for reference, turns in near[:count]]
    return PairBatch(*np.array(rows, np.int64).reshape(-1, 5).T)


def choose_references(ids: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    """Draw at most `count` normals by seed, whatever order they come in.

    A smaller choice is the beginning of a larger one. The paper does not say which normals serve.
    """
    ordered = sorted(set(ids))
    drawn = np.random.default_rng(seed).permutation(len(ordered))[:count]
    return tuple(ordered[index] for index in drawn)


def cycled(numbers: Sequence[int], count: int, generator: Generator) -> NDArray[np.int64]:
    """Draw `count` of the numbers, shuffled anew each time all have been drawn. returns: [count]"""
    rounds = -(-count // len(numbers)) if numbers else 0
    orders = [generator.permutation(len(numbers)) for _ in range(rounds)]
    places = np.concatenate([*orders, np.zeros(0, np.int64)])[:count].astype(np.int64)
    return np.array(numbers, np.int64)[places]
