"""Rows of the class bank from boxed examples: a vector of feature weights and a prototype.

Source: TL-SDD eqs. 1 and 2. A prototype is made of each example's box and of jittered copies, since proposals
never lie exactly. Letters: S examples, J boxes of each, m width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from blemish.arrays import Boxes, Floats, Size
from blemish.methods.capabilities import Example
from blemish.methods.tlsdd.class_bank.bank import ClassEntry
from blemish.methods.tlsdd.data.supports import support_input
from blemish.methods.tlsdd.data.views import network_input
from blemish.methods.tlsdd.runtime.parts import Parts

JITTER = 0.1  # share of a box's sides by which each of its edges is moved at most


@dataclass(frozen=True)
class ExampleFeatures:
    """Contribution of an example to its class, independent of the other examples.

    vector: [m], None without reweighting
    regions: of its J boxes, as `Parts.regions_at` gives them; None without a metric head
    """

    vector: Floats | None
    regions: Any


def extract(parts: Parts, example: Example, generator: Generator) -> ExampleFeatures:
    """Extract the features of an example. generator: of the jittered copies of its box"""
    settings, box = parts.settings, np.array(example.box_xyxy, np.float32)
    vector = regions = None
    if settings.reweight:
        vector = parts.class_vectors(support_input(example.pixels, box.tolist(), settings)[None])[0]
    if settings.metric_head:
        image, size, boxes = network_input(example.pixels, box[None], settings, generator)
        regions = parts.regions_at(image, size, jittered(boxes[0], settings.jitters, size, generator))
    return ExampleFeatures(vector, regions)


def class_entry(parts: Parts, examples: Sequence[ExampleFeatures]) -> ClassEntry:
    """Make the row of a class from its examples' means.

    Without examples or without reweighting, the vector is all ones; without examples or without a metric
    head, the prototype is all zeros.
    """
    settings = parts.settings
    vectors = [example.vector for example in examples if example.vector is not None]
    vector = np.mean(vectors, axis=0) if vectors else np.ones(settings.width, np.float32)
    regions = [example.regions for example in examples if example.regions is not None]
    if not regions:
        return ClassEntry(vector, np.zeros(settings.embedding, np.float32))
    each = parts.embeddings(regions, vector[None])  # [S·J, 1, D]
    mean = each.reshape(len(regions), -1, settings.embedding).mean(axis=1).mean(axis=0)
    if settings.normalize:
        mean = mean / np.maximum(np.linalg.norm(mean), np.float32(1e-12))
    return ClassEntry(vector, mean)


def jittered(box: Boxes, copies: int, size: Size, generator: Generator) -> Boxes:
    """Draw moved copies of a box [4] in an image of `size`; returns it and them, [1 + copies, 4]."""
    sides = np.tile(box[2:] - box[:2], 2)
    moves = generator.uniform(-JITTER, JITTER, (copies, 4)) * sides
    moved = np.concatenate([box[None], box + moves])
    return np.clip(moved, 0, np.tile(size[::-1], 2)).astype(np.float32)
