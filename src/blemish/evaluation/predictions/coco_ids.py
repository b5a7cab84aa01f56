"""Images and classes of COCO results: by ids of the dataset's files, by those of a whole file, or by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blemish.dataset.layouts.coco import CocoNumbers
from blemish.dataset.layouts.coco_files import section
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError, nearest_name
from blemish.evaluation.predictions.contract import is_number
from blemish.evaluation.predictions.names import ImageNames

IMAGE_KEYS, CLASS_KEYS = ("file_name", "image"), ("category", "label", "category_name")
CocoResult = Mapping[str, Any]  # as it stands in the file


class Lookup:
    """Samples and labels by the ids of results: those of the file where it is whole, else the dataset's."""

    def __init__(self, path: Path, dataset: Dataset, numbers: CocoNumbers, order: Sequence[str]) -> None:
        """Set up the look-up. order: splits by priority where several of the dataset's files use an id"""
        self.path, self.dataset, self.numbers, self.order = path, dataset, numbers, tuple(order)
        self.names = ImageNames(dataset)
        self.of_other_splits: set[Any] = set()
        self.renames: Mapping[str, str] = {}
        renamed = dataset.info.get("settings", {}).get("classes")
        if isinstance(renamed, dict):
            self.renames = renamed

    def sample(self, entry: CocoResult, place: str) -> Sample | str:
        """Sample of a result, or its name of an image that is not in the dataset."""
        name = first_of(entry, IMAGE_KEYS, place)
        if name is not None:
            return self.names.find(name) or name
        if "image_id" not in entry:
            raise BlemishError(f"{place} must have 'image_id' or 'file_name'. Received: neither. Add one.")
        number = entry["image_id"]
        if not self.numbers.images and isinstance(number, str):  # some tools write the name as the id
            return self.names.find(number) or number
        known = meaning_of(number, self.numbers.images)
        samples = [self.names.by_id[name] for name in known if name in self.names.by_id]
        if samples:
            return self.only(samples, number, place)
        if not self.numbers.images:
            raise BlemishError(
                f"{place}: 'image_id' needs a COCO dataset, which {self.dataset.root} is not. "
                "Received: no 'file_name'. Add it to every result, or give a whole COCO file with 'images'."
            )
        return f"image_id {number}"

    def name_of(self, number: Any, names: Sequence[str], place: str) -> str:
        """Name of a category_id. Raises BlemishError for a number that is known by several names, or none."""
        if len(names) == 1:
            return names[0]
        if isinstance(number, str) and not self.numbers.classes:  # some tools write the name as the id
            return number
        if len(names) > 1:
            raise BlemishError(
                f"{place}: a category_id must mean one class. Received: {number}, which is '{names[0]}' and "
                f"'{names[1]}' in the dataset's files. Add its name as 'category' to the results."
            )
        known = ", ".join(self.dataset.class_names)
        raise BlemishError(
            f"{place} must have a class of {self.dataset.root} ({known}). Received: category_id {number}, "
            "which has no name there. Add its name as 'category'."
        )

    def only(self, samples: Sequence[Sample], number: Any, place: str) -> Sample:
        """Sample of an id by the order of splits. Raises BlemishError where several are left."""
        for split in self.order:
            chosen = [sample for sample in samples if sample.split == split]
            if len(chosen) == 1:
                self.of_other_splits |= {number} if len(samples) > 1 else set()
                return chosen[0]
        if len(samples) == 1:
            return samples[0]
        raise BlemishError(
            f"{place}: an image_id must mean one image. Received: {number}, which is {samples[0].id} and "
            f"{samples[1].id}. Add 'file_name' to the results."
        )

    def label(self, entry: CocoResult, place: str) -> str:
        """Class of a result, as the dataset names it. Raises BlemishError for any other."""
        name = first_of(entry, CLASS_KEYS, place)
        number = entry.get("category_id")
        names = meaning_of(number, self.numbers.classes)
        if name is None:
            name = self.name_of(number, names, place)
        label = self.renames.get(name, name)
        if label not in self.dataset.class_names:
            known = ", ".join(self.dataset.class_names)
            called = label if number is None or str(number) == label else f"{label} (category_id {number})"
            raise BlemishError(
                f"{place} must have a class of {self.dataset.root} ({known}). Received: {called}."
                f"{nearest_name(label, self.dataset.class_names)} Add its name as 'category', or rename it."
            )
        meant = [self.renames.get(each, each) for each in names]
        if meant and label not in meant:
            raise BlemishError(
                f"{place} must have one class. Received: '{name}', but category_id {number} is '{names[0]}'. "
                "Remove one of the two."
            )
        return label


def first_of(entry: CocoResult, keys: Sequence[str], place: str) -> str | None:
    """Text of the first of these keys that a result has; None without any.

    Raises BlemishError for a value that is no name.
    """
    key = next((key for key in keys if key in entry), None)
    if key is None:
        return None
    value = entry[key]
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise BlemishError(f"{place}: '{key}' must be a name. Received: {value!r}. Write it as text.")
    return str(value)


def meaning_of(number: Any, known: Mapping[Any, tuple[str, ...]]) -> tuple[str, ...]:
    """Meaning of an id, which some tools write as text ("7") or with a point (7.0); none where unknown."""
    if isinstance(number, bool) or not isinstance(number, int | float | str):
        return ()
    if number in known:  # 7.0 equals 7
        return known[number]
    if isinstance(number, str):
        return known.get(int(number), ()) if re.fullmatch("[0-9]{1,18}", number) else ()
    return known.get(str(int(number)), ()) if is_number(number) and number == int(number) else ()


def named_by_id(content: dict[str, Any], part: str, key: str, path: Path) -> dict[Any, tuple[str, ...]]:
    """Names in a part of a whole file, by their ids.

    Raises BlemishError for an id that is neither a number nor text or is there for two names, and for a name
    that is no text.
    """
    names: dict[Any, tuple[str, ...]] = {}
    for number, entry in enumerate(section(content, part, path)):
        place, known = f"{path}: {part}[{number}]", entry["id"]
        if not isinstance(known, int | str) or isinstance(known, bool):
            raise BlemishError(f"{place} must have a number as 'id'. Received: {known!r}. Correct it.")
        name = first_of(entry, (key,), place)
        assert name is not None, "`section` asks for the key"
        if names.setdefault(known, (name,)) != (name,):
            raise BlemishError(
                f"{place} must have an id of its own. Received: {known}, which is '{names[known][0]}' and "
                f"'{name}'. Correct it."
            )
    return names
