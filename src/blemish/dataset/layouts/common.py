"""Common ground of the layout readers: the list of files, the settings, reading that may leave files out.

A reader offers `detect(tree) -> str | None`, the reason in words, and `read(source) -> Contents`.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeVar

from blemish.dataset.account import remark
from blemish.dataset.hashing import in_threads
from blemish.dataset.layouts.identity import PathNames
from blemish.dataset.samples import Sample
from blemish.dataset.settings import DatasetSettings
from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES, image_size
from blemish.images.opening import open_unlimited, opened
from blemish.untrusted import regular_file

CLEAN_NAMES = frozenset({"0", "good", "ok", "normal", "clean", "free", "perfect", "none", "defect-free"})
SPLIT_OF_FOLDER = {
    **dict.fromkeys(("train", "training", "trainval", "train2017"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "val2017"), "val"),
    **dict.fromkeys(("test", "testing", "test2017"), "test"),
}
MAX_COORDINATE = 1e7  # pixels: more than any image has
PEEK_BYTES = 4096
ORIENTATION = 0x112  # tag of EXIF
NO_SIZE = (None, "", 0, "0", "0.0", "None")  # width or height of tools that do not know it
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K")


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

    @cached_property
    def names(self) -> PathNames:
        """The images, to be found by the names that label files give them."""
        return PathNames(self.images, self.root)

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
class Remark:
    """A thing that a reader changed or doubts. noun: what `place` is one of; reason: clause for the user"""

    noun: str
    place: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """A sample as a reader understood its label file, and what should be said about that."""

    sample: Sample
    remarks: tuple[Remark, ...] = ()


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
        if here == PurePosixPath("splits"):
            subfolders.clear()
            continue
        if real in seen:
            odd[str(here)] = "a link to a folder that is read already"
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


def remark_lines(remarks: Iterable[Remark]) -> tuple[str, ...]:
    """A line for each reason, with the number of its places and the first of them."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in remarks:
        groups.setdefault((one.noun, one.reason), []).append(one.place)
    return tuple(remark(places, noun, reason) for (noun, reason), places in groups.items())


def beginning(path: Path) -> bytes:
    """First bytes of a regular file. Raises BlemishError where it cannot be read."""
    try:
        with regular_file(path).open("rb") as stream:
            return stream.read(PEEK_BYTES)
    except OSError as error:
        raise BlemishError(f"{path} must be readable. Received: {error.strerror}. Check the file.") from error


def decimal(text: str) -> float:
    """Number as label files write it, such as -3, 0.5 or 1e-05. Raises ValueError for anything else."""
    if not _DECIMAL.fullmatch(text) or not abs(float(text)) <= MAX_COORDINATE:
        raise ValueError(f"{text!r:.40}, which is no coordinate")
    return float(text)


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


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by their key, both in order of appearance."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def refuse_other_declared_size(image: Path, width: object, height: object, place: str) -> None:
    """Raise BlemishError where a label file gives an image another size than the image has, or it is no file.

    Its coordinates would lie elsewhere. Width and height that are absent, empty or 0 say nothing and pass.
    width, height: as they stand in the file, numbers or text; place: where they stand, for the message
    """
    regular_file(image)
    if width in NO_SIZE and height in NO_SIZE:
        return
    real_height, real_width = image_size(image)
    try:
        declared = (float(str(width)), float(str(height)))
    except ValueError:
        declared = (math.nan, math.nan)
    if declared == (real_width, real_height):
        return
    turned = declared == (real_height, real_width) == stored_size(image)
    reason = " without the turn that its EXIF data asks for" if turned else ""
    remedy = (
        "Annotate it as it is seen" if turned else "Use the image that was annotated, or scale the labels"
    )
    raise BlemishError(
        f"{place} must give {image.name} its own size, {real_width}×{real_height}. "
        f"Received: {width}×{height} (width×height){reason}. {remedy}."
    )


def stored_size(image: Path) -> tuple[int, int]:
    """Width and height of the pixels as they are stored, before the turn that the file asks for."""
    with opened(image) as stream, open_unlimited(stream) as file:
        return file.size


def is_turned(image: Path) -> bool:
    """True where EXIF data ask for the pixels to be turned or mirrored; False for a broken file."""
    try:
        with opened(image) as stream, open_unlimited(stream) as file:
            return file.getexif().get(ORIENTATION, 1) in range(2, 9)
    except (BlemishError, OSError, ValueError, SyntaxError):
        return False  # named where its pixels are read


def image_named(tree: Tree, name: str, *, near: str) -> str:
    """The image called `name` by the rules of `identity`, without a word on what had to be overlooked.

    near: path of the file that speaks of it. Raises BlemishError when there is none, or two are equally near.
    """
    return tree.names.find(name, near=near).path
