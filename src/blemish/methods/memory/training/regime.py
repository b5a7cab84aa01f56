"""What the data allow to learn: which good images make the memory, and whether a head learns beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blemish.bundle.store import sha256_of
from blemish.dataset.ignored import is_doubtful
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.methods.memory.settings import MemorySettings

FEW_GOOD = 5  # training images from which on distances between them say what is usual


@dataclass(frozen=True)
class Regime:
    """Choice of the images to learn from.

    dataset: in which they are in split "train"; good: of the memory; defective: of the head, none without one
    held_out: good validation images; none where all good images are in the memory
    sentence: on what is learned from; notes: on what so few images leave open
    """

    dataset: Dataset
    good: tuple[Sample, ...]
    defective: tuple[Sample, ...]
    held_out: tuple[Sample, ...]
    sentence: str
    notes: tuple[str, ...]

    @property
    def learns_head(self) -> bool:
        return bool(self.defective)


def regime_of(dataset: Dataset, settings: MemorySettings) -> Regime:
    """Choose by what the splits "train" and "val" hold.

    With too few good validation images all good ones go into the memory.
    Raises BlemishError where no image is good.
    """
    train, validation = good_of(dataset, "train"), good_of(dataset, "val")
    good = each_once(train)
    held_out = each_once((*good, *validation))[len(good) :]
    if len(held_out) < settings.held_out_images:
        good, held_out = (*good, *held_out), ()
        moved = {sample.id for sample in validation}
        dataset = dataset.with_splits(
            {sample.id: "train" if sample.id in moved else sample.split for sample in dataset}
        )
    if not good:
        raise BlemishError(
            f"{dataset.root}: memory learns what is good, so split 'train' must hold good images. "
            f"Received: {len(dataset.split('train'))} images, all of them marked. Add images of good parts."
        )
    marked = tuple(
        sample for sample in dataset.split("train") if sample.is_defective and not is_doubtful(sample)
    )
    defective = marked if settings.head == "auto" else ()
    return Regime(dataset, good, defective, held_out, sentence(good, marked, settings), notes(good))


def each_once(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Samples without copies of an earlier one's file, which would be judged by themselves."""
    first: dict[str, Sample] = {}
    for sample in samples:
        first.setdefault(sha256_of(sample.image), sample)
    return tuple(first.values())


def good_of(dataset: Dataset, split: str) -> tuple[Sample, ...]:
    return tuple(sample for sample in dataset.split(split) if not sample.is_defective)


def sentence(good: tuple[Sample, ...], marked: tuple[Sample, ...], settings: MemorySettings) -> str:
    """Line on what is learned from."""
    images = f"{len(good)} good image{'s' if len(good) > 1 else ''}"
    if not marked:
        return f"Learns from {images}: a memory of good patches alone, as no image is marked."
    if settings.head == "off":
        return f"Learns from {images}: a memory of good patches alone, as head=off."
    outlined = sum(all(mark.has_outline for mark in sample.annotations) for sample in marked)
    placed = sum(all(mark.has_place for mark in sample.annotations) for sample in marked)
    return (
        f"Learns from {images}, a memory of good patches, and from {len(marked)} defective, a head "
        f"({outlined} outlined, {placed - outlined} with boxes, {len(marked) - placed} by label alone)."
    )


def notes(good: tuple[Sample, ...]) -> tuple[str, ...]:
    """Sentences on what so few good images cannot show."""
    if len(good) == 1:
        return (
            "One good image says nothing on how good parts differ: what is usual was measured between its "
            "quarters. Add good images.",
        )
    if len(good) < FEW_GOOD:
        return (f"{len(good)} good images say little on how good parts differ. Add good images.",)
    return ()
