"""Common ground of the layout readers: the list of files, the settings, reading that may leave files out.

A reader offers `detect(tree) -> str | None`, the reason in words, and `read(source) -> Contents`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeVar

from blemish.dataset.hashing import in_threads
from blemish.dataset.samples import Sample
from blemish.dataset.settings import DatasetSettings
from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES

CLEAN_NAMES = frozenset({"0", "good", "ok", "normal", "clean", "free", "perfect", "none", "defect-free"})
SPLIT_OF_FOLDER = {
    **dict.fromkeys(("train", "training", "trainval", "train2017"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "val2017"), "val"),
    **dict.fromkeys(("test", "testing", "test2017"), "test"),
}
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Tree:
    """The files under a folder, listed once: relative paths, forward slashes, sorted; none hidden.

    odd: entries that are no regular files, each with the reason; no reader opens them
    """

    root: Path
    files: tuple[str, ...]
    odd: Mapping[str, str] = field(default_factory=dict, compare=False)

    @cached_property
    def folders(self) -> dict[str, tuple[str, ...]]:
        """File names in each folder that directly holds files; '' is the root."""
        names: dict[str, list[str]] = {}
        for file in self.files:
            folder, _, name = file.rpartition("/")
            names.setdefault(folder, []).append(name)
        return {folder: tuple(found) for folder, found in names.items()}

    @cached_property
    def images(self) -> tuple[str, ...]:
        return tuple(file for file in self.files if is_image(file))

    @cached_property
    def file_set(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def image_set(self) -> frozenset[str]:
        return frozenset(self.images)

    @cached_property
    def by_stem(self) -> dict[str, list[str]]:
        """Images by file name without suffix."""
        return grouped(self.images, stem)

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """Images by file name."""
        return grouped(self.images, lambda file: file.rpartition("/")[2])

    def images_in(self, folder: str) -> tuple[str, ...]:
        """Images directly in a folder."""
        names = self.folders.get(folder, ())
        return tuple(join(folder, name) for name in names if is_image(name))

    def images_below(self, folder: str) -> tuple[str, ...]:
        """Images anywhere below a folder."""
        return tuple(file for file in self.images if not folder or file.startswith(f"{folder}/"))


@dataclass(frozen=True)
class Source:
    """Input of a reader: files, settings, and `home`, the folder at which the settings' own paths start."""

    tree: Tree
    settings: DatasetSettings = field(default_factory=DatasetSettings)
    home: Path = Path()
    skip_broken: bool = False

    @property
    def root(self) -> Path:
        return self.tree.root


@dataclass(frozen=True)
class Contents:
    """Output of a reader.

    skipped: files left out on request, each with its reason; without the request they are errors
    read: files that were read beside images, masks and references: labels, lists, names
    left_out: files that are known to be of no use, each with the reason; files nobody claims need no entry
    dropped: place of an annotation that was not used → the reason
    warnings: lines on annotations that were changed or are doubtful
    """

    samples: tuple[Sample, ...]
    class_names: tuple[str, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    read: frozenset[str] = frozenset()
    left_out: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def list_files(root: Path) -> Tree:
    """Every file below `root` but splits/; links to folders are followed, each folder is read once.

    Raises BlemishError for a folder that cannot be read: its files would be missed.
    """
    files: list[str] = []
    odd: dict[str, str] = {}
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=refuse_folder):
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        real = os.path.realpath(folder)
        if real in seen or here == PurePosixPath("splits"):
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        for name in (name for name in names if not name.startswith(".")):
            reason = oddity(Path(folder, name))
            if reason:
                odd[str(here / name)] = reason
            else:
                files.append(str(here / name))
    return Tree(root, tuple(sorted(files)), odd)


def refuse_folder(error: OSError) -> None:
    raise BlemishError(
        f"{error.filename} must be a readable folder. Received: {error.strerror}. Check its permissions."
    ) from error


def oddity(path: Path) -> str:
    """Reason why an entry of a folder is no file that can be read to its end; "" for a regular file."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"a link that leads nowhere ({error.strerror})"
    return "" if stat.S_ISREG(mode) else "a FIFO, socket or device, not a file"


def collect(
    items: Sequence[T], read_one: Callable[[T], R], *, name: Callable[[T], str], skip: bool
) -> tuple[list[R], dict[str, str]]:
    """Results of `read_one` for each item, by several threads, in the items' order, and what was left out.

    An item that raises BlemishError raises it here, or with `skip` goes to the second result with its reason.
    """

    def attempt(item: T) -> R | BlemishError:
        try:
            return read_one(item)
        except BlemishError as error:
            return error

    results = list(in_threads(attempt, items))
    failures = {name(item): r for item, r in zip(items, results, strict=True) if isinstance(r, BlemishError)}
    if failures and not skip:
        raise next(iter(failures.values()))
    found = [result for result in results if not isinstance(result, BlemishError)]
    return found, {item: str(reason) for item, reason in failures.items()}


def is_image(name: str) -> bool:
    return f".{name.rpartition('.')[2].lower()}" in SUFFIXES


def stem(path: str) -> str:
    """File name without its last suffix."""
    return PurePosixPath(path).stem


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def split_of_path(path: str) -> str | None:
    """Split named by the nearest enclosing folder, e.g. 'images/val2017/a.jpg' → 'val'; None without one."""
    for part in reversed(path.lower().split("/")[:-1]):
        if part in SPLIT_OF_FOLDER:
            return SPLIT_OF_FOLDER[part]
    return None


def grouped(items: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Items by their key, both in order of appearance."""
    groups: dict[str, list[str]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def image_named(tree: Tree, name: str, *, near: str) -> str:
    """The image called `name` (with or without suffix, or a path) that lies nearest to the folder `near`.

    Raises BlemishError when there is none, or two lie equally near.
    """
    name = name.replace("\\", "/").removeprefix("./")
    if name in tree.image_set:
        return name
    last = name.rpartition("/")[2]
    found = tree.by_name.get(last) or tree.by_stem.get(last) or tree.by_stem.get(stem(last)) or []
    best = sorted(found, key=lambda file: -shared_parts(file, near))[:2]
    if not best:
        raise BlemishError(
            f"{tree.root} must hold the image '{name}'. Received: no such file. Add the image."
        )
    if len(best) == 2 and shared_parts(best[0], near) == shared_parts(best[1], near):
        raise BlemishError(
            f"The name '{name}' must mean one image. Received: {best[0]} and {best[1]}. Rename one of them."
        )
    return best[0]


def shared_parts(first: str, second: str) -> int:
    """Number of leading folders that two paths share."""
    pairs = zip(first.split("/"), second.split("/"), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(first.count("/"), second.count("/") + 1))
