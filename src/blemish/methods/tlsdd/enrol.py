"""From boxed examples to what the detector knows of their class: its vector of weights and its prototype.

Source: TL-SDD eqs. 1 and 2. A prototype is made of each true box and of jittered copies, since proposals
never lie exactly. Letters: S examples, J boxes of each, m width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from blemish.methods.contract import Pixels
from blemish.methods.tlsdd.detector import Detector
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
    """What an example gives whatever the others of its class are. vector: [m]; regions: [J, m, s, s]

    The one is None without reweighting, the other without a metric head.
    """

    vector: Tensor | None
    regions: Tensor | None


@dataclass(frozen=True)
class ClassEntry:
    """A class as the bank holds it: vector [m], prototype [D]; and the embeddings behind it, [S, D]."""

    vector: Tensor
    prototype: Tensor
    embeddings: Tensor


def class_entry(detector: Detector, examples: Sequence[BoxedImage], generator: Generator) -> ClassEntry:
    """The entry of one class from its examples, in fp32 and eval mode."""
    return entry_of(detector, [seen(detector, example, generator) for example in examples])


@torch.inference_mode()
def seen(detector: Detector, example: BoxedImage, generator: Generator) -> Seen:
    """The example's own part in its class, in fp32 and eval mode."""
    settings = detector.settings
    detector.eval()
    return Seen(
        class_vector(detector, example) if settings.reweight else None,
        regions_of(detector, example, generator) if settings.metric_head else None,
    )


@torch.inference_mode()
def entry_of(detector: Detector, examples: Sequence[Seen]) -> ClassEntry:
    """The entry of one class from what each example gives.

    Where there are no examples, or the detector has no reweighting, the vector is 1; without examples or a
    metric head the prototype is 0.
    """
    settings, device = detector.settings, next(detector.parameters()).device
    vectors = [one.vector for one in examples if one.vector is not None]
    vector = torch.stack(vectors).mean(0) if vectors else torch.ones(settings.width, device=device)
    regions = [one.regions for one in examples if one.regions is not None]
    if not regions:
        nothing = torch.zeros(settings.embedding, device=device)
        return ClassEntry(vector, nothing, nothing[None])
    each = embeddings_of(detector, torch.cat(regions), vector)  # [S·J, D]
    embeddings = each.view(len(regions), -1, settings.embedding).mean(1)
    mean = embeddings.mean(0)
    return ClassEntry(vector, F.normalize(mean, dim=0) if settings.normalize else mean, embeddings)


def class_vector(detector: Detector, example: BoxedImage) -> Tensor:
    """w of one example, [m]."""
    given = support_input(example.pixels, example.box_xyxy.tolist(), detector.settings)
    inputs = torch.from_numpy(given)[None].to(next(detector.parameters()).device)
    vector: Tensor = detector.support_encoder(inputs)[0].float()
    return vector


def regions_of(detector: Detector, example: BoxedImage, generator: Generator) -> Tensor:
    """Pooled features of one example's box and of jittered copies, [J, m, s, s]."""
    settings, device = detector.settings, next(detector.parameters()).device
    marked = View(example.pixels, example.box_xyxy[None].astype(np.float32), np.array([IGNORED]))
    view = fitted(marked, settings, 0, generator)
    images, sizes = batched([view])
    boxes = torch.from_numpy(jittered(view.boxes[0], settings.jitters, sizes[0], generator)).to(device)
    maps = detector.extractor(torch.from_numpy(images).to(device))
    return detector.pool(maps, [boxes], torch.from_numpy(sizes))


def embeddings_of(detector: Detector, regions: Tensor, vector: Tensor) -> Tensor:
    """f of each region under its class's vector, [R, D]. regions: [R, m, s, s]; vector: [m]"""
    hidden = (
        detector.region_head.paired(regions, vector.expand(len(regions), -1))
        if detector.settings.reweight
        else detector.region_head(regions)
    )
    embeddings: Tensor = detector.embedding(hidden)
    return embeddings


def jittered(
    box: NDArray[np.float32], copies: int, size: NDArray[np.int64], generator: Generator
) -> NDArray[np.float32]:
    """The box and its copies, within the image of `size` (h, w). box: [4]; returns: [1 + copies, 4]"""
    sides = np.tile(box[2:] - box[:2], 2)
    moves = generator.uniform(-JITTER, JITTER, (copies, 4)) * sides
    moved = np.concatenate([box[None], box + moves])
    return np.clip(moved, 0, np.tile(size[::-1], 2)).astype(np.float32)
