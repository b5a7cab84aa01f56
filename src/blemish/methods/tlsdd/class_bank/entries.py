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

from blemish.arrays import Box, Boxes, Floats, Pixels, Size
from blemish.methods.capabilities import Example, Negative
from blemish.methods.tlsdd.class_bank.bank import ClassBank, ClassEntry
from blemish.methods.tlsdd.class_bank.closed_form import boxes_about
from blemish.methods.tlsdd.class_bank.regions import ExampleRegions, ImageRegions
from blemish.methods.tlsdd.data.supports import support_input
from blemish.methods.tlsdd.data.views import network_input
from blemish.methods.tlsdd.runtime.anchors import box_deltas
from blemish.methods.tlsdd.runtime.enrolled_rows import DELTA_WEIGHTS
from blemish.methods.tlsdd.runtime.parts import Parts
from blemish.regions.boxes import box_iou

HARD = 50  # regions of each negative
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


def example_regions(
    parts: Parts, example: Example, others: Sequence[Box], generator: Generator
) -> ExampleRegions:
    """Boxes about an example, its own first.

    others: boxes of the image's other examples; a box's IoU is the highest with any of them
    """
    boxes = np.array([example.box_xyxy, *others], np.float32)
    image, size, placed = network_input(example.pixels, boxes, parts.settings, generator)
    about = boxes_about(placed[0], size, generator)
    features = parts.features([parts.regions_at(image, size, about)])
    deltas = box_deltas(about, np.broadcast_to(placed[0], about.shape), DELTA_WEIGHTS)
    return ExampleRegions(features, box_iou(about, placed).max(axis=1), deltas)


def image_regions(
    parts: Parts, pixels: Pixels, examples: Sequence[Box], bank: ClassBank, generator: Generator
) -> ImageRegions:
    """Regions of an image that added classes are looked for in; of a large one, of a tile about the first.

    examples: boxes of the class on it, none on a good part
    """
    whole = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    boxes = np.array([*examples] or [whole], np.float32)
    image, size, placed = network_input(pixels, boxes, parts.settings, generator)
    found = parts.boxes_to_score(image, size, bank)
    sides = np.tile(np.array(size[::-1], np.float32), 2)
    features = parts.features([parts.regions_at(image, size, found)])
    return ImageRegions(features, found / sides, (placed / sides)[: len(examples)])


def negative_features(
    parts: Parts, negative: Negative, bank: ClassBank, row: Floats, generator: Generator
) -> Floats:
    """Features [R, F] of regions that are not the class.

    row: [F + 1, 5] of the class without them: of a good image, the `HARD` regions that it takes for the class
    most count; of false alarms, boxes about each
    """
    if negative.boxes is None:
        features = image_regions(parts, negative.pixels, (), bank, generator).features
        taken = features @ row[:-1, 0]
        return features[np.argsort(-taken, kind="stable")[:HARD]]
    found = []
    for box in negative.boxes:
        image, size, placed = network_input(negative.pixels, box[None], parts.settings, generator)
        about = jittered(placed[0], HARD - 1, size, generator)
        found.append(parts.features([parts.regions_at(image, size, about)]))
    return np.concatenate(found)


def jittered(box: Boxes, copies: int, size: Size, generator: Generator) -> Boxes:
    """Draw moved copies of a box [4] in an image of `size`; returns it and them, [1 + copies, 4]."""
    sides = np.tile(box[2:] - box[:2], 2)
    moves = generator.uniform(-JITTER, JITTER, (copies, 4)) * sides
    moved = np.concatenate([box[None], box + moves])
    return np.clip(moved, 0, np.tile(size[::-1], 2)).astype(np.float32)
