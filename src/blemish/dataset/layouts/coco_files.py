"""COCO annotation files: which JSON files of a dataset they are, and their sections and numbers.

Lists of results, files whose annotations have scores, and captions are no truth: beside annotation files they
are left out by name.
Source: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import codecs
import mmap
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blemish.dataset.layouts.common import SPLIT_OF_FOLDER, Source, Tree, beginning, collect, split_of_path
from blemish.dataset.layouts.tools import COCO_TOO, tool_of
from blemish.errors import BlemishError
from blemish.untrusted import read_json, read_text

CocoEntry = Mapping[str, Any]  # an image, annotation or category of a file
SECTION_KEYS = {
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id"),
    "images": ("id", "file_name"),
}
SECTION = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[|"(file_name)"')
RESULTS = "a list of results has no images of its own and is no truth"
SCORED = "all its annotations have a score, so it holds results, no truth"
CAPTIONS = "its annotations name no class"
NO_MARKS = "it lists images without annotations"


@dataclass(frozen=True)
class CocoFile:
    """An annotation file that was read.

    name: path relative to the dataset's root where it lies there, for messages and to find its images
    split: of all its images, or None; own_split: the split is told by its name, not by dataset.yaml
    """

    path: Path
    name: str
    content: CocoEntry = field(repr=False)
    split: str | None = None
    own_split: bool = True

    def section(self, name: str) -> list[dict[str, Any]]:
        return section(self.content, name, self.path)

    @property
    def doubt(self) -> str:
        """Reason why the file may be no truth; "" for none."""
        images, marks = self.content.get("images"), self.content.get("annotations")
        if marks is None and images:
            return NO_MARKS
        known = [mark for mark in marks or () if isinstance(mark, dict)] if isinstance(marks, list) else []
        if known and not any("category_id" in mark for mark in known):
            return CAPTIONS
        return SCORED if known and all("score" in mark for mark in known) else ""


def find_files(tree: Tree) -> list[str]:
    """Annotation files among the JSON files of a tree."""
    return [
        file
        for file in tree.files
        if file.lower().endswith(".json")
        and tool_of(tree, file) in (None, *COCO_TOO)  # else of a tool whose file has some of the keys too
        and is_annotations(tree.root / file)
    ]


def is_annotations(path: Path) -> bool:
    """Tell a COCO file by two of its lists, wherever they stand: it may be hundreds of megabytes.

    A file that ends within its images is one too, so that it is named when it is refused.
    """
    found = section_names(path)
    return {b"annotations", b"categories"} <= found or (b"images" in found and len(found) > 1)


def section_names(path: Path) -> set[bytes]:
    """COCO's lists whose keys a JSON object holds."""
    start = beginning(path)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return names_in(read_text(path).encode(errors="replace"))
    if not start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return set()
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return names_in(content)


def names_in(content: bytes | mmap.mmap) -> set[bytes]:
    """Keys of COCO's that a text holds; it is read no further than to the third."""
    found: set[bytes] = set()
    for match in SECTION.finditer(content):
        found.add(match[1] or match[2])
        if len(found - {b"file_name"}) == len(SECTION_KEYS):
            break
    return found


def result_lists(tree: Tree) -> dict[str, str]:
    """JSON files that begin as a list of results does, with the reason why they are not read."""
    files = [file for file in tree.files if file.lower().endswith(".json")]
    starts = {file: beginning(tree.root / file).removeprefix(codecs.BOM_UTF8).lstrip() for file in files}
    keys = (b'"image_id"', b'"score"')
    return {f: RESULTS for f, start in starts.items() if start[:1] == b"[" and all(k in start for k in keys)}


def annotation_files(source: Source) -> tuple[list[CocoFile], dict[str, str]]:
    """Annotation files that dataset.yaml names, else those found; second, those left out as broken."""
    named, tree = source.settings.annotations, source.tree
    places: list[tuple[Path, str | None]]
    if named is None:
        places = [(tree.root / file, split_of_file(file)) for file in find_files(tree)]
    elif isinstance(named, str):
        places = [(source.home / named, None)]
    else:
        places = [(source.home / file, split) for split, file in named.items()]
    return collect(
        places,
        lambda place: read_file(source, *place, own_split=named is None),
        name=lambda place: relative_name(source, place[0]),
        skip=source.skip_broken,
    )


def read_file(source: Source, path: Path, split: str | None, *, own_split: bool) -> CocoFile:
    content = read_json(path)
    if not isinstance(content, dict):
        raise BlemishError(
            f"{path} must be a COCO file. Received: JSON that is no object. Replace or remove it."
        )
    file = CocoFile(path, relative_name(source, path), content, split, own_split)
    if not file.doubt:
        for name in SECTION_KEYS:
            file.section(name)
    return file


def relative_name(source: Source, path: Path) -> str:
    """Path below the dataset's root; of a file elsewhere its name."""
    real, root = (Path(os.path.realpath(place)) for place in (path, source.root))  # of a loop of links, too
    return real.relative_to(root).as_posix() if real.is_relative_to(root) else path.name


def split_of_file(file: str) -> str | None:
    """Split in a file's name, such as 'annotations/instances_val2017.json' → 'val', else its folder's."""
    words = Path(file).stem.lower().replace("-", "_").split("_")
    return next((SPLIT_OF_FOLDER[word] for word in words if word in SPLIT_OF_FOLDER), split_of_path(file))


def section(content: CocoEntry, name: str, file: Path) -> list[dict[str, Any]]:
    """The list `name` of a file. Raises BlemishError where it is missing or an entry lacks a key."""
    entries = content.get(name)
    if not isinstance(entries, list):
        raise BlemishError(f"{file} must have a list '{name}'. Received: none. Replace or remove the file.")
    for number, entry in enumerate(entries):
        missing = [key for key in SECTION_KEYS[name] if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise BlemishError(
                f"{file}: {name}[{number}] must have '{missing[0]}'. Received: none. Correct it."
            )
    return entries


def number_of(value: Any, place: str) -> int | str:
    """Number or text that identifies something; 7, 7.0 and "7" are one. Raises BlemishError for others."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip():
        text = value.strip()
        return int(text) if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) else text
    if isinstance(value, bool) or not isinstance(value, int):
        raise BlemishError(f"{place} must be a whole number. Received: {value!r:.40}. Correct the file.")
    return value


def text_of(value: Any, place: str) -> str:
    """A name. Raises BlemishError for what is neither text nor a whole number, and for empty text."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not text or "\0" in text:
        raise BlemishError(f"{place} must be text. Received: {value!r:.40}. Correct the file.")
    return text
