"""Which image is in which split: splits/{train,val,test}.txt, or `splits:` of dataset.yaml, for every layout.

An entry is an image's path, its path without suffix, its file name or its stem; the first of these that names
an image counts. Where there are no such lists, the splits that the layout itself has stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from blemish.dataset.layouts.common import Source, grouped, read_text, stem
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME, SPLIT_NAMES
from blemish.errors import BlemishError, nearest_name

SPLITS_FOLDER = "splits"
Entry = tuple[str, str, str]  # split, text, place for an error


def read_splits(dataset: Dataset, source: Source) -> Dataset:
    """The dataset with its splits. Raises BlemishError with file and line of a wrong entry."""
    entries = list(find_entries(source))
    if not entries:
        return dataset
    names = Names(dataset, source)
    split_of: dict[str, str | None] = {}
    for split, text, place in entries:
        for sample_id in names.found(text, place):
            if split_of.setdefault(sample_id, split) != split:
                raise BlemishError(
                    f"{place}: an image must be in one split. Received: '{text}', which is also in "
                    f"{split_of[sample_id]}. Remove one of the entries."
                )
    return dataset.with_splits(split_of)


class Names:
    """Every way to name an image of the dataset, most exact first."""

    def __init__(self, dataset: Dataset, source: Source) -> None:
        ids = [sample.id for sample in dataset]
        kinds: list[Callable[[str], str]] = [str, without_suffix, file_name, stem]
        self.tables = [grouped(ids, kind) for kind in kinds]
        self.left_out = {kind(item) for item in dataset.skipped for kind in kinds}
        self.root = source.root

    def found(self, text: str, place: str) -> list[str]:
        """The one image of that name; none when it was left out on request."""
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


def find_entries(source: Source) -> Iterator[Entry]:
    """The lists of dataset.yaml; without them those of splits/ beside it, else beside the images."""
    if source.settings.splits is not None:
        for split, value in source.settings.splits.items():
            if isinstance(value, str):
                yield from lines_of(split, source.home / value)
            else:
                place = f"{source.home / SETTINGS_NAME}: 'splits.{split}'"
                yield from ((split, text, place) for text in value)
        return
    for folder in dict.fromkeys((source.home, source.root)):
        files = [(split, folder / SPLITS_FOLDER / f"{split}.txt") for split in SPLIT_NAMES]
        if any(file.is_file() for _, file in files):
            yield from chain_lines((split, file) for split, file in files if file.is_file())
            return


def chain_lines(files: Iterable[tuple[str, Path]]) -> Iterator[Entry]:
    for split, file in files:
        yield from lines_of(split, file)


def lines_of(split: str, file: Path) -> Iterator[Entry]:
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if line.strip():
            yield split, line.strip(), f"{file} line {number}"


def relative(text: str, root: Path) -> str:
    """The entry with forward slashes, below the root where it is an absolute path in it."""
    path = Path(text.replace("\\", "/"))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def without_suffix(path: str) -> str:
    return path.rpartition(".")[0] or path


def file_name(path: str) -> str:
    return path.rpartition("/")[2]
