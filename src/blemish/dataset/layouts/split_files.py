"""Split lists of any layout: splits/{train,val,test}.txt, or `splits:` of dataset.yaml.

An entry is an image's path, its path without suffix, its file name or its stem, by the rules of `identity`.
Where there are no such lists, the splits that the layout itself has stay.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from blemish.dataset.layouts.common import Remark, Source, remark_lines, stem
from blemish.dataset.layouts.identity import Match, PathNames, without_suffix
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME, SPLIT_NAMES
from blemish.errors import BlemishError, nearest_name
from blemish.untrusted import read_text

SPLITS_FOLDER = "splits"


def read_splits(dataset: Dataset, source: Source) -> Dataset:
    """Put the listed images into their splits. Raises BlemishError with file and line of a wrong entry."""
    entries = list(find_entries(source))
    if not entries:
        return dataset
    names = PathNames([sample.id for sample in dataset], source.root)
    split_of: dict[str, str | None] = {}
    remarks: list[Remark] = []
    left_out = {stem(item) for item in dataset.skipped}
    for entry in entries:
        match = image_of(entry, names, left_out)
        if match is None:
            continue
        if split_of.get(match.path, entry.split) != entry.split:
            raise BlemishError(
                f"{entry.place}: an image must be in one split. Received: '{entry.text}', which is also "
                f"in {split_of[match.path]}. Remove one of the entries."
            )
        reason = "they name an image that the list has already" if match.path in split_of else match.doubt
        remarks += [Remark("entry", entry.place, reason)] if reason else []
        split_of[match.path] = entry.split
    account = replace(dataset.account, remarks=(*dataset.account.remarks, *remark_lines(remarks)))
    return replace(dataset.with_splits(split_of), account=account)


class SplitEntry(NamedTuple):
    """A line of a split list. place: where it stands, for an error"""

    split: str
    text: str
    place: str


def image_of(entry: SplitEntry, names: PathNames, left_out: Container[str]) -> Match | None:
    """Image of an entry; None where an image of this stem was left out on request."""
    try:
        return names.find(entry.text)
    except BlemishError as error:
        wanted = stem_of(entry.text)
        if wanted in left_out:
            return None
        near = nearest_name(wanted, [stem_of(path) for path in names.paths])
        hint = near if "no such file" in str(error) else ""
        raise BlemishError(f"{entry.place}: {error}{hint}") from error


def stem_of(text: str) -> str:
    """File name of an entry without an image's suffix."""
    return without_suffix(text.replace("\\", "/").rpartition("/")[2])


def find_entries(source: Source) -> Iterator[SplitEntry]:
    """Entries of dataset.yaml's lists; without them of splits/ beside it, else beside the images."""
    if source.settings.splits is not None:
        for split, value in source.settings.splits.items():
            if isinstance(value, str):
                yield from lines_of(split, source.home / value)
            else:
                place = f"{source.home / SETTINGS_NAME}: 'splits.{split}'"
                yield from (SplitEntry(split, text, place) for text in value)
        return
    for folder in dict.fromkeys((source.home, source.root)):
        files = [(split, folder / SPLITS_FOLDER / f"{split}.txt") for split in SPLIT_NAMES]
        if any(file.is_file() for _, file in files):
            for split, file in files:
                if file.is_file():
                    yield from lines_of(split, file)
            return


def lines_of(split: str, file: Path) -> Iterator[SplitEntry]:
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if line.strip():
            yield SplitEntry(split, line.strip(), f"{file} line {number}")
