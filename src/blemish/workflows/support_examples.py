"""Boxed examples of a new class, from any dataset: all its boxes, or those with the class's name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blemish.arrays import Pixels
from blemish.dataset.boxes import cleaned_boxes
from blemish.dataset.opening import open_dataset
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.images.bit_depth import full_range
from blemish.images.decode import image_size, read_image, with_channels
from blemish.inspector.sources import images_below
from blemish.methods.capabilities import Example, Negative
from blemish.regions.boxes import box_coverage

MAX_EXAMPLES = 10  # examples that `add-class` is meant for
MAX_GOOD = 50  # images of good parts; more hardly change the mean over their regions
COVERED = 0.9  # share of the smaller of two boxes from which they are of one defect
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
    odd: list[str] = []
    notes = [f"left out: {reason}" for reason in dict.fromkeys(dataset.skipped.values())]
    if label != name:
        notes.append(f"'{label}', the only class marked in {root}, is taken for '{name}'.")
    by_image: dict[bytes, list[Example]] = {}
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
            same = by_image.setdefault(content_digest(pixels), [])
            same += [Example(box.id, sample.id, pixels, box.box_xyxy) for box in own]
    boxes: list[Example] = []
    for same in by_image.values():
        single, lines = single_examples(same)
        boxes += single
        odd += lines
    if not boxes:
        what = f"and no usable box; {odd[0]}" if odd else "without a box"
        raise BlemishError(
            f"{root} must hold boxed examples of '{name}'. Received: {len(chosen)} images {what}. "
            f"Mark 1 to {MAX_EXAMPLES} defects."
        )
    return Examples(tuple(samples), tuple(boxes), (*notes, *odd, *note_on_many(len(boxes), name)))


def content_digest(pixels: Pixels) -> bytes:
    """Digest of an image's pixels and its size."""
    return hashlib.blake2b(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).digest()


def single_examples(examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
    """Examples of one image of which none covers another, and a line on those that are left out.

    The image may have come as several files. Of two boxes of one defect the larger counts: a part of a defect
    is no example of its own.
    """
    files = list(dict.fromkeys(example.image for example in examples))
    lines = []
    if len(files) > 1:
        lines.append(f"{', '.join(files[1:])}: the same image as {files[0]}, which counts once.")
    kept: list[Example] = []
    for example in sorted(examples, key=lambda each: -area_of(each)):
        whole = next((each for each in kept if covers(each, example)), None)
        if whole is None:
            kept.append(replace(example, image=files[0]))
        elif whole.image == example.image:
            lines.append(f"box {example.id} lies in {whole.id}, which alone counts: a defect has one box.")
    ids = {example.id for example in kept}
    return [replace(example, image=files[0]) for example in examples if example.id in ids], lines


def area_of(example: Example) -> float:
    left, top, right, bottom = example.box_xyxy
    return (right - left) * (bottom - top)


def covers(whole: Example, part: Example) -> bool:
    """True where nearly all of a part's box lies in another box."""
    coverage = box_coverage(np.array([part.box_xyxy]), np.array([whole.box_xyxy]))
    return bool(coverage[0, 0] >= COVERED)


def read_good(folder: Path, note: Callable[[str], None], *, skip_broken: bool = False) -> list[Negative]:
    """Read images of good parts below a folder, `MAX_GOOD` at most, evenly spread over it.

    note: takes a line on those that are left out
    Raises BlemishError where there is none, and for a broken file without `skip_broken`.
    """
    if not folder.is_dir():
        raise BlemishError(
            f"--good: {folder} must be a folder of images of good parts. Give one that exists."
        )
    files = images_below(folder, note).images
    chosen = files[:: -(-len(files) // MAX_GOOD)]
    if len(chosen) < len(files):
        note(f"--good: {len(chosen)} of the {len(files)} images in {folder} are used, evenly spread.")
    found = []
    for file in chosen:
        try:
            pixels = with_channels(full_range(read_image(file), None, str(file)), 3)
        except BlemishError as error:
            if not skip_broken:
                raise
            note(f"left out: {error}")
            continue
        found.append(Negative(str(file), pixels, None))
    if not found:
        raise BlemishError(f"--good: {folder} has no image that can be read. Give images of good parts.")
    return found


def read_false_alarms(root: Path, *, skip_broken: bool = False) -> list[Negative]:
    """Read false alarms: images on which each box is one. Raises BlemishError where there is none."""
    dataset = open_dataset(root, skip_broken=skip_broken)
    found = []
    for sample in dataset:
        boxes = cleaned_boxes(sample, image_size(sample.image)).boxes
        if boxes:
            pixels = full_range(read_image(sample.image), dataset.info.get("bits"), str(sample.image))
            places = np.array([box.box_xyxy for box in boxes], np.float32)
            found.append(Negative(sample.id, with_channels(pixels, 3), places))
    if not found:
        raise BlemishError(
            f"--negative: {root} must hold boxes about false alarms. Received: none. Mark one, or give "
            "images of good parts as --good."
        )
    return found


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
