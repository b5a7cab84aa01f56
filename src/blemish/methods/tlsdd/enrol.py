"""From boxed examples to what the detector knows of their class: its vector of weights and its prototype.

Source: TL-SDD eqs. 1 and 2. A prototype is made of each true box and of jittered copies, since proposals
never lie exactly. Letters: S examples, J boxes of each, m width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from blemish.methods.contract import Pixels
from blemish.methods.tlsdd.parts import Floats, Parts
from blemish.methods.tlsdd.scenes import IGNORED
from blemish.methods.tlsdd.supports import support_input
from blemish.methods.tlsdd.views import View, batched, fitted

JITTER = 0.1  # share of a box's sides by which each of its edges is moved at most


@dataclass(frozen=True)
class BoxedImage:
    """One example of a class. pixels: [H, W, 3]; box_xyxy: [4] in pixels of it"""

    pixels: Pixels
    box_xyxy: NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """What an example gives whatever the others of its class are. vector: [m]; regions: J of them

    The one is None without reweighting, the other without a metric head.
    """

    vector: Floats | None
    regions: Any


@dataclass(frozen=True)
class ClassEntry:
    """A class as the bank holds it: vector [m], prototype [D]; and the embeddings behind it, [S, D]."""

    vector: Floats
    prototype: Floats
    embeddings: Floats


def class_entry(parts: Parts, examples: Sequence[BoxedImage], generator: Generator) -> ClassEntry:
    """The entry of one class from its examples."""
    return entry_of(parts, [seen(parts, example, generator) for example in examples])


def seen(parts: Parts, example: BoxedImage, generator: Generator) -> Seen:
    """The example's own part in its class."""
    return Seen(
        class_vector(parts, example) if parts.settings.reweight else None,
        regions_of(parts, example, generator) if parts.settings.metric_head else None,
    )


def entry_of(parts: Parts, examples: Sequence[Seen]) -> ClassEntry:
    """The entry of one class from what each example gives.

    Where there are no examples, or the detector has no reweighting, the vector is 1; without examples or a
    metric head the prototype is 0.
    """
    settings = parts.settings
    vectors = [one.vector for one in examples if one.vector is not None]
    vector = np.mean(vectors, axis=0) if vectors else np.ones(settings.width, np.float32)
    regions = [one.regions for one in examples if one.regions is not None]
    if not regions:
        nothing = np.zeros(settings.embedding, np.float32)
        return ClassEntry(vector, nothing, nothing[None])
    each = parts.embeddings(regions, vector[None])  # [S·J, 1, D]
    embeddings = each.reshape(len(regions), -1, settings.embedding).mean(axis=1)
    mean = embeddings.mean(axis=0)
    return ClassEntry(vector, unit(mean) if settings.normalize else mean, embeddings)


def unit(vector: Floats) -> Floats:
    """The vector brought to length 1; zeros stay."""
    return vector / np.maximum(np.linalg.norm(vector), np.float32(1e-12))


def class_vector(parts: Parts, example: BoxedImage) -> Floats:
    """w of one example, [m]."""
    given = support_input(example.pixels, example.box_xyxy.tolist(), parts.settings)
    return parts.class_vectors(given[None])[0]


def regions_of(parts: Parts, example: BoxedImage, generator: Generator) -> Any:
    """Regions of one example's box and of jittered copies, J in all."""
    marked = View(example.pixels, example.box_xyxy[None].astype(np.float32), np.array([IGNORED]))
    view = fitted(marked, parts.settings, 0, generator)
    height, width = view.pixels.shape[:2]
    boxes = jittered(view.boxes[0], parts.settings.jitters, (height, width), generator)
    return parts.regions_at(batched([view])[0], (height, width), boxes)


def jittered(
    box: NDArray[np.float32], copies: int, size: tuple[int, int], generator: Generator
) -> NDArray[np.float32]:
    """The box and its copies, within the image of `size` (h, w). box: [4]; returns: [1 + copies, 4]"""
    sides = np.tile(box[2:] - box[:2], 2)
    moves = generator.uniform(-JITTER, JITTER, (copies, 4)) * sides
    moved = np.concatenate([box[None], box + moves])
    return np.clip(moved, 0, np.tile(size[::-1], 2)).astype(np.float32)
