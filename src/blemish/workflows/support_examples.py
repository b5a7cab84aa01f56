"""Boxed examples of a new class, from any dataset: all its boxes, or those with the class's name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from blemish.dataset.boxes import cleaned_boxes
from blemish.dataset.opening import open_dataset
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.images.bit_depth import full_range
from blemish.images.decode import image_size, read_image, with_channels
from blemish.methods.capabilities import Example

MAX_EXAMPLES = 10  # examples that `add-class` is meant for
FOLDER = "examples"  # before the ids of their images among those of another dataset


@dataclass(frozen=True)
class Examples:
    """Images with at least one example, annotated as the class; the examples; lines on unusable boxes."""

    samples: tuple[Sample, ...]
    boxes: tuple[Example, ...]
    notes: tuple[str, ...]


def read_examples(root: Path, name: str, *, skip_broken: bool = False) -> Examples:
    """Read the examples of class `name` in a dataset; where it has splits, those of "train" alone.

    skip_broken: leave out broken files, with a note on each
    A dataset that marks one class is taken to mean this one, whatever it is called there.
    Raises BlemishError for several classes without `name`, for no box, and for an unreadable image.
    """
    dataset = open_dataset(root, skip_broken=skip_broken)
    chosen = dataset.split("train") if dataset.splits.get("train") else dataset
    label = label_of_examples(chosen, name)
    samples: list[Sample] = []
    boxes: list[Example] = []
    odd: list[str] = []
    notes = [f"left out: {reason}" for reason in dict.fromkeys(dataset.skipped.values())]
    if label != name:
        notes.append(f"'{label}', the only class marked in {root}, is taken for '{name}'.")
    for sample in chosen:
        named = replace(
            sample,
            annotations=tuple(
                replace(each, label=name) if each.label == label else each for each in sample.annotations
            ),
        )
        found = cleaned_boxes(named, image_size(sample.image))
        own = [box for box in found.boxes if box.label == name]
        odd += found.notes
        if own:
            stored = read_image(sample.image)
            pixels = with_channels(full_range(stored, dataset.info.get("bits"), str(sample.image)), 3)
            samples.append(named)
            boxes += [Example(box.id, sample.id, pixels, box.box_xyxy) for box in own]
    if not boxes:
        what = f"and no usable box; {odd[0]}" if odd else "without a box"
        raise BlemishError(
            f"{root} must hold boxed examples of '{name}'. Received: {len(chosen)} images {what}. "
            f"Mark 1 to {MAX_EXAMPLES} defects."
        )
    return Examples(tuple(samples), tuple(boxes), (*notes, *odd, *note_on_many(len(boxes), name)))


def label_of_examples(dataset: Dataset, name: str) -> str:
    """Label of the examples in their dataset."""
    marked = [label for label, images in dataset.class_counts.items() if images]
    if name in marked or not marked:
        return name
    if len(marked) > 1:
        raise BlemishError(
            f"{dataset.root} must hold examples of '{name}' alone, or call them so. Received: "
            f"{', '.join(marked)}. Rename them in dataset.yaml, or give a folder with nothing else."
        )
    return marked[0]


def note_on_many(count: int, name: str) -> list[str]:
    if count <= MAX_EXAMPLES:
        return []
    return [
        f"{count} examples of '{name}': all are used. From so many, a training (--fine-tune) learns more "
        "than their mean."
    ]


def training_set(check: Dataset, examples: Examples, name: str) -> Dataset:
    """Add the examples to the training images of a dataset, whose own images with the class are left out."""
    others = check.where(lambda sample: sample.split != "train" or not marks(sample, name))
    added = tuple(
        replace(sample, id=f"{FOLDER}/{sample.id}", split="train", group=None) for sample in examples.samples
    )
    return replace(
        others,
        samples=(*others.samples, *added),
        class_names=tuple(dict.fromkeys((*check.class_names, name))),
    )


def marks(sample: Sample, name: str) -> bool:
    return any(annotation.label == name for annotation in sample.annotations)
