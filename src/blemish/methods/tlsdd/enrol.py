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
class ClassEntry:
    """A class as the bank holds it: vector [m], prototype [D]; and the embeddings behind it, [S, D]."""

    vector: Tensor
    prototype: Tensor
    embeddings: Tensor


@torch.inference_mode()
def class_entry(detector: Detector, examples: Sequence[BoxedImage], generator: Generator) -> ClassEntry:
    """The entry of one class from its examples, in fp32 and eval mode.

    Where there are no examples, or the detector has no reweighting, the vector is 1; without examples or a
    metric head the prototype is 0.
    """
    settings, device = detector.settings, next(detector.parameters()).device
    detector.eval()
    vector = torch.ones(settings.width, device=device)
    if settings.reweight and examples:
        vector = torch.stack([class_vector(detector, example) for example in examples]).mean(0)
    if not (settings.metric_head and examples):
        nothing = torch.zeros(settings.embedding, device=device)
        return ClassEntry(vector, nothing, nothing[None])
    embeddings = torch.stack([embedding_of(detector, one, vector, generator) for one in examples])
    mean = embeddings.mean(0)
    return ClassEntry(vector, F.normalize(mean, dim=0) if settings.normalize else mean, embeddings)


def class_vector(detector: Detector, example: BoxedImage) -> Tensor:
    """w of one example, [m]."""
    given = support_input(example.pixels, example.box_xyxy.tolist(), detector.settings)
    inputs = torch.from_numpy(given)[None].to(next(detector.parameters()).device)
    vector: Tensor = detector.support_encoder(inputs)[0].float()
    return vector


def embedding_of(detector: Detector, example: BoxedImage, vector: Tensor, generator: Generator) -> Tensor:
    """f of one example under its class's vector, [D]: the mean over its box and jittered copies."""
    settings, device = detector.settings, vector.device
    marked = View(example.pixels, example.box_xyxy[None].astype(np.float32), np.array([IGNORED]))
    view = fitted(marked, settings, 0, generator)
    images, sizes = batched([view])
    boxes = torch.from_numpy(jittered(view.boxes[0], settings.jitters, sizes[0], generator)).to(device)
    maps = detector.extractor(torch.from_numpy(images).to(device))
    regions = detector.pool(maps, [boxes], torch.from_numpy(sizes))
    vectors = vector.expand(len(boxes), -1)
    hidden = (
        detector.region_head.paired(regions, vectors) if settings.reweight else detector.region_head(regions)
    )
    embedding: Tensor = detector.embedding(hidden).mean(0)
    return embedding


def jittered(
    box: NDArray[np.float32], copies: int, size: NDArray[np.int64], generator: Generator
) -> NDArray[np.float32]:
    """The box and its copies, within the image of `size` (h, w). box: [4]; returns: [1 + copies, 4]"""
    sides = np.tile(box[2:] - box[:2], 2)
    moves = generator.uniform(-JITTER, JITTER, (copies, 4)) * sides
    moved = np.concatenate([box[None], box + moves])
    return np.clip(moved, 0, np.tile(size[::-1], 2)).astype(np.float32)
