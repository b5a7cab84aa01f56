"""Refusing leaks: no image that figures are measured on may have been learned from.

Images are compared by their pixels, so copies, other names and other compressions of equal pixels are found;
a crop or a changed exposure is another image, which groups are for. Images from outside the dataset have no
groups, so of them near duplicates are found as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from blemish.dataset.hashing import contents_of
from blemish.dataset.quality.near_duplicates import near_duplicates_between
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError

LEARNING = ("train", "val")


def refuse_leaks(dataset: Dataset, *, seal: Sequence[str] = ("test",)) -> None:
    """Raise BlemishError that names both files when an image of a sealed split is also learned from.

    seal: splits that must stay unseen; against them stand the images and the references of train and val
    Reads every image once in a process: hashes are remembered until the file changes.
    """
    sealed = sealed_images(dataset, seal)
    learned = list(learned_images(dataset, seal))
    contents = contents_of([*sealed, *(path for path, _ in learned)])
    first = {contents[path]: sample for path, sample in sealed.items()}
    for path, sample in learned:
        if (found := first.get(contents[path])) is not None:
            raise BlemishError(leak_message(found, path, sample))


def refuse_seen(dataset: Dataset, extra: Sequence[Sample], *, seal: Sequence[str] = ("val", "test")) -> None:
    """Raise BlemishError that names both files when an image of `extra` shows (nearly) one of a sealed split.

    extra: images that are learned from beside the dataset
    Reads every image once more than `refuse_leaks`.
    """
    sealed = sealed_images(dataset, seal)
    contents = contents_of([*sealed, *(sample.image for sample in extra)])
    first = {contents[path]: sample for path, sample in sealed.items()}
    for sample in extra:
        if (found := first.get(contents[sample.image])) is not None:
            raise BlemishError(seen_message(found, sample, "the same image"))
    for found, sample in near_duplicates_between(list(sealed.values()), extra):
        raise BlemishError(seen_message(found, sample, "nearly the same image"))


def sealed_images(dataset: Dataset, seal: Sequence[str]) -> dict[Path, Sample]:
    return {sample.image: sample for sample in reversed(dataset.samples) if sample.split in seal}


def learned_images(dataset: Dataset, seal: Sequence[str]) -> Iterator[tuple[Path, Sample]]:
    """Images of the learning splits and their references, each with its sample."""
    for sample in dataset:
        if sample.split in LEARNING and sample.split not in seal:
            yield sample.image, sample
            if sample.reference is not None:
                yield sample.reference, sample


def seen_message(sealed: Sample, extra: Sample, what: str) -> str:
    return (
        f"{sealed.image} of split '{sealed.split}' must not be learned from. Received: {extra.image} among "
        f"the unlabelled images, which shows {what}. Take it out of their folder."
    )


def leak_message(sealed: Sample, path: Path, learned: Sample) -> str:
    role = "an image" if path == learned.image else "a reference"
    return (
        f"{sealed.image} of split '{sealed.split}' must not be learned from. Received: {path}, {role} of "
        f"split '{learned.split}', shows the same image. Split by content: blemish data split DATA OUT."
    )
