"""Splits that YOLO's data files name: folders of images, lists of folders, and text files of paths.

Paths start at `path`, at the file's folder or at the dataset's; those of another machine (absolute, or
outside the dataset) are found by their end, where that is one folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from blemish.dataset.layouts.common import Remark, Source, join, parent
from blemish.dataset.layouts.identity import composed, normal
from blemish.dataset.layouts.yolo_names import DataFile
from blemish.dataset.settings import SPLIT_NAMES
from blemish.errors import BlemishError
from blemish.untrusted import read_text

NO_PLACE = "there is no such folder or list with images in the dataset"
SAME_PLACE = "they are named for several splits, of which the first counts"
NESTED = "they lie in the folder of another split, and count for the inner one"
NO_IMAGE = "they name no image of the dataset"
_ABSOLUTE = re.compile(r"^(?:/|~|[A-Za-z]:/|[a-z][a-z0-9+.-]+://)")


@dataclass
class Splits:
    """Splits of images. of: image → split; lists: files that are lists; folders: those that are named"""

    of: dict[str, str] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)
    folders: dict[str, str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)


def read_splits(source: Source, files: Sequence[DataFile]) -> Splits:
    """Splits by the data files. Raises BlemishError for an image in two lists of different splits."""
    splits = Splits()
    for file in files:
        for split in SPLIT_NAMES:
            for text in texts_of(file, split, source):
                add_entry(splits, source, file, split, text)
    deepest = sorted(splits.folders, key=len)
    listed = dict(splits.of)
    for image in source.tree.images:
        found = [splits.folders[folder] for folder in deepest if image.startswith(folder)]
        if found and image not in listed:
            splits.of[image] = found[-1]
            splits.remarks += [Remark("image", image, NESTED)] if len(set(found)) > 1 else []
    return splits


def texts_of(file: DataFile, split: str, source: Source) -> Iterator[str]:
    """Paths that a file names for a split."""
    value = file.content.get(split)
    for text in value if isinstance(value, list) else [value]:
        if text is None or text == "":
            continue
        if not isinstance(text, str) or "\0" in text:
            raise BlemishError(
                f"{source.root / file.path}: '{split}' must be a path or a list of paths. "
                f"Received: {text!r:.40}. Correct that line."
            )
        yield text


def add_entry(splits: Splits, source: Source, file: DataFile, split: str, text: str) -> None:
    """Note what a path of a data file says."""
    place = f"{file.path}: {split}: {text}"
    found = resolved(source, file, text.replace("\\", "/"))
    if found is None:
        splits.remarks.append(Remark("entry", place, NO_PLACE))
    elif found.endswith("/") or not found:
        if splits.folders.setdefault(found, split) != split:
            splits.remarks.append(Remark("entry", place, SAME_PLACE))
    else:
        splits.lists.add(found)
        add_list(splits, source, found, split)


def add_list(splits: Splits, source: Source, file: str, split: str) -> None:
    """Note the images that a text file names, one a line."""
    images: list[str] = []
    for number, line in enumerate(read_text(source.root / file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            match = source.tree.names.find(line, near=file)
        except BlemishError as error:
            if not source.skip_broken:
                raise BlemishError(f"{source.root / file} line {number}: {error}") from error
            splits.remarks.append(Remark("entry", f"{file} line {number}", NO_IMAGE))
            continue
        splits.remarks += [Remark("entry", f"{file} line {number}", match.doubt)] if match.doubt else []
        images.append(match.path)
    twice = [image for image in images if splits.of.get(image, split) != split]
    if twice and len(twice) < len(images):
        raise BlemishError(
            f"{source.root / file}: an image must be in one split. Received: {twice[0]}, which is also in "
            f"{splits.of[twice[0]]}. Remove one of the entries."
        )
    splits.remarks += [Remark("image", image, SAME_PLACE) for image in twice]
    splits.of = {**dict.fromkeys(images, split), **splits.of}


def resolved(source: Source, file: DataFile, text: str) -> str | None:
    """A folder of images, with a slash at its end ("" for the root), or a list; None where there is none."""
    base, home = file.content.get("path"), parent(file.path)
    folders = {composed(folder): folder for folder in source.tree.names.folders} | {"/": ""}
    texts = {composed(f): f for f in source.tree.files if f.lower().endswith(".txt")}
    for root in source.tree.names.root_texts:
        text = composed(text).removeprefix(f"{root}/")
    places = [text] if _ABSOLUTE.match(text) else []
    if not places:
        bases = [base.replace("\\", "/")] if isinstance(base, str) and not _ABSOLUTE.match(base) else []
        places = [join(home, join(b, text)) for b in bases] + [join(home, text), text]
        for place in (composed(normal(place)) for place in places):
            if f"{place}/" in folders or place in texts:
                return folders[f"{place}/"] if f"{place}/" in folders else texts[place]
    parts = [part for part in composed(normal(text)).split("/") if part != ".."]
    elsewhere = bool(_ABSOLUTE.match(text)) or normal(text).startswith("..")
    for start in range(len(parts) if elsewhere else 1):
        end = "/".join(parts[start:])
        found = [f for name, f in folders.items() if f"/{name}".endswith(f"/{end}/") and end]
        found += [f for name, f in texts.items() if f"/{name}".endswith(f"/{end}") and end]
        if found:
            return found[0] if len(found) == 1 else None
    return None
