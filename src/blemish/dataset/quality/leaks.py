"""No picture that figures are measured on may have been seen before: equal content across sealed splits.

Pictures are compared by their pixels, so copies, other names and other compressions of the same pixels are
found; a crop or a changed exposure is another picture, which groups are for. Images from outside the dataset
have no groups, so of them near duplicates are found as well.
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
    """Raise BlemishError that names both files when a picture of a sealed split is also learned from.

    seal: splits that must stay unseen; against them stand the images and the references of train and val
    Reads every picture once in a process: hashes are remembered until the file changes.
    """
    sealed = sealed_pictures(dataset, seal)
    learned = list(learned_pictures(dataset, seal))
    contents = contents_of([*sealed, *(path for path, _ in learned)])
    first = {contents[path]: sample for path, sample in sealed.items()}
    for path, sample in learned:
        if (kept := first.get(contents[path])) is not None:
            raise BlemishError(leak(kept, path, sample))


def refuse_seen(dataset: Dataset, extra: Sequence[Sample], *, seal: Sequence[str] = ("val", "test")) -> None:
    """Raise BlemishError that names both files when one of `extra`, images that are learned from beside the
    dataset, shows a picture of a sealed split or nearly the same one.

    Reads every picture once more than `refuse_leaks`.
    """
    sealed = sealed_pictures(dataset, seal)
    contents = contents_of([*sealed, *(sample.image for sample in extra)])
    first = {contents[path]: sample for path, sample in sealed.items()}
    for sample in extra:
        if (kept := first.get(contents[sample.image])) is not None:
            raise BlemishError(seen(kept, sample, "the same picture"))
    for kept, sample in near_duplicates_between(list(sealed.values()), extra):
        raise BlemishError(seen(kept, sample, "nearly the same picture"))


def sealed_pictures(dataset: Dataset, seal: Sequence[str]) -> dict[Path, Sample]:
    return {sample.image: sample for sample in reversed(dataset.samples) if sample.split in seal}


def learned_pictures(dataset: Dataset, seal: Sequence[str]) -> Iterator[tuple[Path, Sample]]:
    """Images of the learning splits and their references, each with its sample."""
    for sample in dataset:
        if sample.split in LEARNING and sample.split not in seal:
            yield sample.image, sample
            if sample.reference is not None:
                yield sample.reference, sample


def seen(sealed: Sample, extra: Sample, what: str) -> str:
    return (
        f"{sealed.image} of split '{sealed.split}' must not be learned from. Received: {extra.image} among "
        f"the unlabelled images, which shows {what}. Take it out of their folder."
    )


def leak(sealed: Sample, path: Path, learned: Sample) -> str:
    role = "an image" if path == learned.image else "a reference"
    return (
        f"{sealed.image} of split '{sealed.split}' must not be learned from. Received: {path}, {role} of "
        f"split '{learned.split}', shows the same picture. Split by content: blemish data split DATA OUT."
    )
