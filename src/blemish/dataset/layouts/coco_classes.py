"""Classes of COCO annotation files: their names by number, over several files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blemish.dataset.layouts.coco_files import CocoEntry, CocoFile, number_of, text_of
from blemish.dataset.layouts.common import Remark
from blemish.errors import BlemishError

SAME_NAME = "they have the name of another category, and are read as that class"
ROOT_NAMES = (None, "", "none")  # `supercategory` of one that groups others


@dataclass(frozen=True)
class ClassTable:
    """Classes of a file. names: number → class; groups: classes that only group others, and mark nothing"""

    names: Mapping[int | str, str]
    groups: frozenset[str]
    remarks: tuple[Remark, ...]


def class_table(file: CocoFile) -> ClassTable:
    """The categories of a file. Raises BlemishError for a number with two names."""
    names: dict[int | str, str] = {}
    remarks = []
    entries = file.section("categories")
    for index, entry in enumerate(entries):
        place = f"{file.path}: categories[{index}]"
        number, name = number_of(entry["id"], f"{place}: id"), text_of(entry["name"], f"{place}: name")
        if names.get(number, name) != name:
            raise BlemishError(
                f"{file.path} must give every category an id of its own. Received: id {number} twice, for "
                f"{names[number]} and {name}. Correct the file."
            )
        if name in names.values():
            remarks.append(Remark("category", f"{file.name}: {number} {name}", SAME_NAME))
        names[number] = name
    return ClassTable(names, groups_among(entries, names, file), tuple(remarks))


def groups_among(
    entries: Sequence[CocoEntry], names: Mapping[int | str, str], file: CocoFile
) -> frozenset[str]:
    """Classes that are the supercategory of all others and of no annotation, as Roboflow writes one."""
    used = set()
    for mark in file.section("annotations"):
        place = f"{file.path}: annotation {mark.get('id', '')}: category_id"
        used.add(number_of(mark["category_id"], place))
    free = {str(entry["name"]).strip() for entry in entries if entry.get("supercategory") in ROOT_NAMES}
    above = {entry.get("supercategory") for entry in entries if str(entry["name"]).strip() not in free}
    unused = {name for number, name in names.items() if number not in used}
    return frozenset(free & above & unused) if len(above) == 1 else frozenset()


def class_names_of(tables: Sequence[ClassTable]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Class names of all files in order, and a line on each that is no class as it only groups others."""
    names = dict.fromkeys(name for table in tables for name in table.names.values())
    groups = [name for name in names if all(name in t.groups or name not in t.names.values() for t in tables)]
    lines = (
        f"The category '{name}' only groups the others and marks nothing: it is no class." for name in groups
    )
    return tuple(name for name in names if name not in groups), tuple(lines)
