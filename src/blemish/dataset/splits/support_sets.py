"""Support sets of the few-shot protocol: which boxes of each class a training may see, as files.

A support set is the first boxes of one seeded permutation per class, so that 1, 3, 5 and 10 shots of a seed
contain each other, and a class's boxes do not depend on which other classes are sampled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blemish.dataset.boxes import Boxed, boxed_instances
from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError, nearest_name
from blemish.files import write_atomically
from blemish.images.decode import image_size
from blemish.untrusted import read_json

SCHEMA = 1
KEYS = ("schema", "dataset_fingerprint", "seed", "shots", "classes")


@dataclass(frozen=True)
class SupportSet:
    """Boxes that a few-shot training may see: class name → box ids, at most `shots` of each class.

    Ids are those of `boxes.cleaned_boxes`.
    """

    dataset_fingerprint: str
    seed: int
    shots: int
    classes: Mapping[str, tuple[str, ...]]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal: equal for equal boxes of equal data."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the boxes of all classes."""
        return frozenset(name for ids in self.classes.values() for name in ids)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each class that has fewer boxes than shots."""
        return tuple(
            f"class '{name}': {len(ids)} example{'s' * (len(ids) != 1)} for {self.shots} shots"
            for name, ids in self.classes.items()
            if len(ids) < self.shots
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as they are written to a file, with the schema's number."""
        return {
            "schema": SCHEMA,
            "dataset_fingerprint": self.dataset_fingerprint,
            "seed": self.seed,
            "shots": self.shots,
            "classes": {name: list(ids) for name, ids in self.classes.items()},
        }


def sample_support_set(
    dataset: Dataset,
    classes: Sequence[str],
    shots: int,
    seed: int,
    *,
    boxes: Sequence[Boxed] | None = None,
    data_fingerprint: str | None = None,
) -> SupportSet:
    """A support set of `shots` boxes of each class from the split "train", or all there are.

    boxes: those of that split, where they are known already
    data_fingerprint: of the dataset, where it is known already
    Raises BlemishError for an unknown class, and for one without any box.
    """
    if shots < 1:
        raise BlemishError(f"shots must be at least 1. Received: {shots}. Use 5.")
    known = training_boxes(dataset) if boxes is None else boxes
    sampled = {name: shuffled_ids(dataset, known, name, seed)[:shots] for name in classes}
    return SupportSet(data_fingerprint or fingerprint(dataset), seed, shots, sampled)


def save_support_set(support_set: SupportSet, path: Path) -> None:
    """Write the support set as JSON, one line an id, so that two of them are easy to compare."""
    write_atomically(path, json.dumps(support_set.to_json(), indent=1, ensure_ascii=False) + "\n")


def load_support_set(
    path: Path,
    dataset: Dataset,
    *,
    boxes: Sequence[Boxed] | None = None,
    data_fingerprint: str | None = None,
) -> SupportSet:
    """The support set in file `path`, checked against the dataset that it was sampled from.

    boxes, data_fingerprint: see `sample_support_set`
    Raises BlemishError for another file, a set of other data, or a box that is not in split "train".
    """
    support_set = parsed(path)
    if support_set.dataset_fingerprint != (received := data_fingerprint or fingerprint(dataset)):
        raise BlemishError(
            f"{path} must be a support set of {dataset.root}. Received: one of other data or other splits "
            f"({support_set.dataset_fingerprint[:12]} instead of {received[:12]}). Sample it again."
        )
    label_of = {box.id: box.label for box in (training_boxes(dataset) if boxes is None else boxes)}
    for name, ids in support_set.classes.items():
        for id in ids:
            if label_of.get(id) != name:
                raise BlemishError(
                    f"{path} must name boxes of split 'train'. Received: '{id}' for class '{name}'."
                    f"{nearest_name(id, [known for known, label in label_of.items() if label == name])} "
                    "Correct the id, or sample the set again."
                )
    return support_set


def training_boxes(dataset: Dataset) -> list[Boxed]:
    """The boxes of the split "train". Reads its mask files, and of its images the headers."""
    samples = (sample for sample in dataset if sample.split == "train" and sample.is_defective)
    return [box for sample in samples for box in boxed_instances(sample, image_size(sample.image))]


def shuffled_ids(dataset: Dataset, boxes: Sequence[Boxed], name: str, seed: int) -> tuple[str, ...]:
    """Ids of all boxes of a class in the order in which a seed takes them."""
    ids = sorted(box.id for box in boxes if box.label == name)
    if not ids:
        hint = "" if name in dataset.class_names else nearest_name(name, dataset.class_names)
        raise BlemishError(
            f"A class to sample from must have a box in split 'train' of {dataset.root}. "
            f"Received: '{name}', which has none.{hint} Correct the name or mark an example."
        )
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    order = np.random.default_rng([seed, key]).permutation(len(ids))
    return tuple(ids[number] for number in order)


def parsed(path: Path) -> SupportSet:
    """The support set that a file holds, not held against any data. Raises BlemishError for another file."""
    fields = read_json(path)
    try:
        if set(fields) != set(KEYS) or fields["schema"] != SCHEMA:
            raise ValueError(f"keys {', '.join(map(str, fields))}")
        classes = {name: tuple(map(str, ids)) for name, ids in fields["classes"].items()}
        digest = str(fields["dataset_fingerprint"])
        return SupportSet(digest, int(fields["seed"]), int(fields["shots"]), classes)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BlemishError(
            f"{path} must be a support set, schema {SCHEMA}. Received: {error}. Sample it again."
        ) from error
