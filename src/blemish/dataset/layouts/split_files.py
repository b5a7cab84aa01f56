"""Split lists of any layout: splits/{train,val,test}.txt, or `splits:` of dataset.yaml.

An entry is an image's path, its path without suffix, its file name or its stem; the first of these that names
an image counts. Where there are no such lists, the splits that the layout itself has stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from blemish.dataset.layouts.common import Source, grouped, stem
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
    names = SplitNames(dataset, source)
    split_of: dict[str, str | None] = {}
    for entry in entries:
        for sample_id in names.found(entry):
            if split_of.setdefault(sample_id, entry.split) != entry.split:
                raise BlemishError(
                    f"{entry.place}: an image must be in one split. Received: '{entry.text}', which is also "
                    f"in {split_of[sample_id]}. Remove one of the entries."
                )
    return dataset.with_splits(split_of)


class SplitEntry(NamedTuple):
    """A line of a split list. place: where it stands, for an error"""

    split: str
    text: str
    place: str


class SplitNames:
    """Names by which a split list may call an image of the dataset, most exact first."""

    def __init__(self, dataset: Dataset, source: Source) -> None:
        ids = [sample.id for sample in dataset]
        kinds: list[Callable[[str], str]] = [str, without_suffix, file_name, stem]
        self.tables = [grouped(ids, kind) for kind in kinds]
        self.left_out = {kind(item) for item in dataset.skipped for kind in kinds}
        self.root = source.root

    def found(self, entry: SplitEntry) -> list[str]:
        """The id of the entry's image; none when that was left out on request."""
        _, text, place = entry
        name = relative(text, self.root)
        for table in self.tables:
            if len(table.get(name, ())) > 1:
                raise BlemishError(
                    f"{place} must name one image. Received: '{text}', which is {table[name][0]} and "
                    f"{table[name][1]}. Write the path."
                )
            if name in table:
                return table[name]
        if name in self.left_out:
            return []
        hint = nearest_name(name, [*self.tables[0], *self.tables[-1]])
        raise BlemishError(
            f"{place} must name an image. Received: '{text}'.{hint} Correct or remove the line."
        )


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


def relative(text: str, root: Path) -> str:
    """Path of an entry with forward slashes, relative to the root where it is an absolute path in it."""
    path = Path(text.replace("\\", "/"))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def without_suffix(path: str) -> str:
    return path.rpartition(".")[0] or path


def file_name(path: str) -> str:
    return path.rpartition("/")[2]
