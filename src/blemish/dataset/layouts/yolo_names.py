"""Content of YOLO's data files: the names of the classes, and the shape of key points.

Names stand in a YAML file (`data.yaml`, or any with `names`) or in a text file, one a line. All values are
read as the text that is written there, so that `on`, `no` and `1` are names like others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.dataset.layouts.common import Remark, Source
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.untrusted import read_text, read_yaml

YAML_NAMES = ("data.yaml", "dataset.yaml", "data.yml")
TEXT_NAMES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
MAX_CLASSES = 100_000
SAME_NAME = "they have the name of another class, and are read as that class"


@dataclass(frozen=True)
class DataFile:
    """A YAML file with class names, below the dataset's root."""

    path: str
    content: Mapping[str, Any]


def data_files(source: Source) -> list[DataFile]:
    """YAML files that name classes. Raises BlemishError for a broken one of a usual name."""
    files, broken = [], []
    for path in source.tree.files:
        name = path.rpartition("/")[2].lower()
        if not name.endswith((".yaml", ".yml")):
            continue
        try:
            content = read_yaml(source.root / path, as_text=True)
        except BlemishError as error:
            if name in YAML_NAMES:
                raise
            broken.append(error)
            continue
        if isinstance(content, dict) and "names" in content:
            files.append(DataFile(path, content))
    if broken and not files and not text_files(source):
        raise broken[0]
    return files


def text_files(source: Source) -> list[str]:
    """Text files of class names."""
    return [file for file in source.tree.files if file.rpartition("/")[2].lower() in TEXT_NAMES]


def class_names(source: Source, files: Sequence[DataFile]) -> tuple[list[str], list[Remark]]:
    """Names by class number, and remarks on those given twice.

    Raises BlemishError where there are none, or files contradict each other.
    """
    if isinstance(source.settings.classes, tuple):
        return list(source.settings.classes), []
    found = {file.path: names_of(file, source) for file in files}
    found |= {file: names_in_text(file, source) for file in text_files(source)}
    found = {path: names for path, names in found.items() if names}
    if not found:
        raise BlemishError(
            f"{source.root} must name its classes. Received: no data.yaml with 'names' and no classes.txt. "
            "Add one, or put 'classes: [first, second]' into dataset.yaml."
        )
    path = max(found, key=lambda file: len(found[file]))
    for other, names in found.items():
        if names != found[path][: len(names)]:
            raise BlemishError(
                f"{source.root} must name its classes in one way. Received: {path} and {other}, which "
                f"differ. Remove one of them, or put 'classes: [first, second]' into {SETTINGS_NAME}."
            )
    again = [number for number, name in enumerate(found[path]) if name in found[path][:number]]
    return found[path], [Remark("class", f"{path}: {n} {found[path][n]}", SAME_NAME) for n in again]


def names_of(file: DataFile, source: Source) -> list[str]:
    """The list of `names`, or the mapping number → name without gaps."""
    names, place = file.content["names"], f"{source.root / file.path}: 'names'"
    if isinstance(names, dict):
        wrong = next((key for key in names if not is_number(key)), None)
        if wrong is not None:
            raise BlemishError(f"{place} must be numbered. Received: '{wrong}'. Number the names from 0 on.")
        numbered = {int(key): name for key, name in names.items()}
        if set(numbered) != set(range(len(names))):
            raise BlemishError(
                f"{place} must be numbered from 0 to {len(names) - 1}. Received: {max(numbered)} among "
                f"{len(names)} names. Name every class once."
            )
        names = [numbered[number] for number in range(len(names))]
    if not isinstance(names, list | None):
        raise BlemishError(f"{place} must be a list. Received: '{names:.40}'. Write it as [name, name].")
    for number, name in enumerate(names or ()):
        if not isinstance(name, str) or not name.strip():
            what = "nothing" if name is None else f"{name!r:.40}"
            raise BlemishError(f"{place} must be texts. Received: {what} for {number}. Put it in quotes.")
    refuse_other_number(file, len(names or ()), source)
    return [name.strip() for name in names or ()]


def is_number(key: object) -> bool:
    return isinstance(key, str) and re.fullmatch("[0-9]{1,18}", key) is not None and int(key) < MAX_CLASSES


def refuse_other_number(file: DataFile, number: int, source: Source) -> None:
    """Raise BlemishError where `nc` is another number than that of the names."""
    declared = file.content.get("nc")
    if declared is not None and number and declared != str(number):
        raise BlemishError(
            f"{source.root / file.path}: 'nc' must be the number of names, {number}. "
            f"Received: {declared!r:.40}. Correct the names or the number."
        )


def names_in_text(file: str, source: Source) -> list[str]:
    """Names one a line; empty lines at the end are no names."""
    names = [line.strip() for line in read_text(source.root / file).rstrip().split("\n")]
    if names == [""]:
        return []
    if "" in names:
        raise BlemishError(
            f"{source.root / file} must have a name in every line. Received: none in line "
            f"{names.index('') + 1}. Remove the line, or name the class."
        )
    return names


def key_point_shape(source: Source, files: Sequence[DataFile]) -> tuple[int, int] | None:
    """Number of key points and of the values of each, where a data file declares them."""
    for file in files:
        shape = file.content.get("kpt_shape")
        if shape is None:
            continue
        whole = isinstance(shape, list) and len(shape) == 2 and all(is_number(side) for side in shape)
        if not whole or int(shape[0]) < 1 or int(shape[1]) not in (2, 3):
            raise BlemishError(
                f"{source.root / file.path}: 'kpt_shape' must be [number, 2 or 3]. Received: {shape!r:.40}. "
                "Correct that line."
            )
        return int(shape[0]), int(shape[1])
    return None
