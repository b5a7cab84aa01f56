"""Labelled and unlabelled training images: a few labelled ones drawn by seed, others without their labels.

A sample without annotations is clean; whether an image is *unlabelled* is known by where it comes from, never
by the sample itself. So whoever learns from both is given them apart, the unlabelled without annotations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from blemish.dataset.layouts.common import list_files
from blemish.dataset.samples import Sample
from blemish.errors import BlemishError

CLEAN = ""  # the kind of an image that shows no defect


def draw_labelled(
    samples: Sequence[Sample], number: int, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Draw `number` samples that keep their annotations; the others lose theirs. Both in the samples' order.

    Kinds take turns, in an order drawn by seed with clean images last, until one has no more images: each
    class is there where there are enough draws, a defect always. The draws of a seed contain each other.
    An image that shows several classes is of the one that the fewest images show.
    samples: with outlines alone, see `outlined`. Raises BlemishError where there are not so many of them.
    """
    if number > len(samples):
        raise BlemishError(
            f"setting labelled: must be at most the number of training images, {len(samples)}. "
            f"Received: {number}. Lower it, or leave it out to learn from all."
        )
    drawn = set(drawing_order(samples, seed)[:number])
    return (
        tuple(sample for sample in samples if sample.id in drawn),
        tuple(replace(sample, annotations=()) for sample in samples if sample.id not in drawn),
    )


def drawing_order(samples: Sequence[Sample], seed: int) -> list[str]:
    """The ids of all samples in the order in which they are drawn, whatever order they are given in."""
    generator = np.random.default_rng([seed])
    kind_of = kinds(samples)
    defects = sorted({kind for kind in kind_of.values() if kind != CLEAN})
    turn = {defects[place]: rank for rank, place in enumerate(generator.permutation(len(defects)))}
    ids = sorted(kind_of)
    shuffled = [ids[place] for place in generator.permutation(len(ids))]
    before: Counter[str] = Counter()
    rounds = {}
    for id in shuffled:
        rounds[id] = before[kind_of[id]]
        before[kind_of[id]] += 1
    return sorted(shuffled, key=lambda id: (rounds[id], turn.get(kind_of[id], len(defects))))


def kinds(samples: Sequence[Sample]) -> dict[str, str]:
    """Sample id → the class marked in it, of several the rarest; CLEAN without any."""
    shown = {sample.id: {mark.label for mark in sample.annotations} for sample in samples}
    images = Counter(label for labels in shown.values() for label in labels)
    return {
        id: min(labels, key=lambda label: (images[label], label), default=CLEAN)
        for id, labels in shown.items()
    }


def unlabelled_images(folder: Path) -> tuple[Sample, ...]:
    """Every image at any depth below the folder, of split "train", whatever else lies there.

    Their ids are whole paths, so that none is that of a dataset's sample.
    Raises BlemishError for what is no folder, or one without images.
    """
    if not folder.is_dir():
        state = "a file" if folder.exists() else "no such folder"
        raise BlemishError(
            f"setting unlabelled: {folder} must be a folder of images. Received: {state}. Check the path."
        )
    root = folder.resolve()
    files = list_files(root).images
    if not files:
        raise BlemishError(
            f"setting unlabelled: {folder} must hold images. Received: none. Check the path or leave it out."
        )
    return tuple(Sample(root / file, str(root / file), split="train") for file in files)
