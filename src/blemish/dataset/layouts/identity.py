"""Which file a name means: the identity rules of label files, lists and settings.

A name is a path, or the end of one, with or without the image's suffix. Text that looks alike is alike:
composed and decomposed letters (NFC, NFD), slashes and backslashes. Case, a suffix of another image type and
percent-encoding may differ where only one file is left; folders may not, unless they are those of another
machine. What had to be overlooked is told as a doubt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES

ELSEWHERE = "their folders are not in the dataset, the file name alone was compared"
OTHER_CASE = "they differ from the file's own name in upper and lower case"
OTHER_SUFFIX = "they have another suffix than the file"
ENCODED = "they are percent-encoded"
# Folders that tools write before names, whatever the folder is called where the images lie.
PLAIN_FOLDERS = frozenset(
    {"data", "dataset", "frames", "image", "images", "img", "imgs", "jpegimages", "media", "photos", "upload"}
)
# Folders of masks, of which no name of an image means one as long as another file has it.
MASK_FOLDERS = frozenset(
    {"mask", "masks", "gt", "gts", "groundtruth", "ground_truth", "ground-truth", "ground truth"}
    | {"mask_images", "true_masks", "segmentationclass", "segmentationobject", "segmentation"}
    | {"segmentations", "seg", "segmentation_masks", "binary_masks", "defect_masks", "anomaly_masks"}
)
_ABSOLUTE = re.compile(r"^(?:/|~|[A-Za-z]:/|[a-z][a-z0-9+.-]+://)")


class Match(NamedTuple):
    """File that a name means. doubt: what had to be overlooked, as a reason for a warning; "" for nothing"""

    path: str
    doubt: str = ""


class PathNames:
    """The paths of some files, to be found by names. root: the folder that they are relative to"""

    def __init__(self, paths: Iterable[str], root: Path) -> None:
        self.paths = tuple(paths)
        self.root = root

    def find(self, name: str, *, near: str = "", fits: Callable[[str], bool] = bool) -> Match:
        """The file called `name`.

        near: path of the file that speaks of it; of several files the nearest counts, and only those
            below the nearest folder above it that has any
        fits: condition that a path must meet where folders are not written out
        Raises BlemishError when there is none, or two are equally near.
        """
        folder, text = near.rpartition("/")[0], self.below_root(name)
        absolute = bool(_ABSOLUTE.match(text))
        if not absolute:
            for path in (f"{folder}/{text}", text, self.without_root(text)):
                if found := self.exact(normal(path), name):
                    return Match(found)
            absolute = normal(text).startswith("../")
        text, homes = re.sub(r"^(?:\.\./)+", "", normal(text)), self.homes(folder)
        for key, files in self.tables:
            alike = [path for path in files.get(key(last(text)), ()) if path.startswith(homes)]
            if match := self.chosen(alike, text, absolute):
                return self.nearest([path for path in match if fits(path)], text, absolute, folder, name)
        raise self.missing(name, text)

    def chosen(self, alike: Sequence[str], text: str, absolute: bool) -> list[str]:
        """Those of the files with the name's last part that lie in the folders of the name."""
        wanted = folders_of(text)
        same = {path: shared_end(folders_of(path), wanted) for path in alike}
        most = max(same.values(), default=0)
        if most < len(wanted):
            # Folders of another machine may be overlooked, but not one that the dataset has elsewhere.
            known = wanted[len(wanted) - most - 1] in self.folder_names
            if known or not (absolute or all(part in PLAIN_FOLDERS for part in wanted)):
                return []
        return [path for path in alike if same[path] == most]

    def nearest(self, own: Sequence[str], text: str, absolute: bool, folder: str, name: str) -> Match:
        """The file that is nearest to the folder; names from elsewhere are near to none."""
        own = [path for path in own if not MASK_FOLDERS & {*folders_of(path)}] or own
        ranked = sorted(own, key=lambda path: -closeness(path, folder))[:2]
        if not ranked:
            raise self.missing(name, text)
        if len(ranked) == 2 and (absolute or closeness(ranked[0], folder) == closeness(ranked[1], folder)):
            raise two_files(name, ranked)
        wanted = folders_of(text)
        whole = not absolute and shared_end(folders_of(ranked[0]), wanted) == len(wanted)
        return Match(ranked[0], overlooked(last(text), ranked[0]) if whole else ELSEWHERE)

    def exact(self, path: str, name: str) -> str | None:
        """The file of this path, its letters composed in either way."""
        if path in self.path_set:
            return path
        found = self.composed.get(composed(path), [])
        if len(found) > 1:
            raise two_files(name, found)
        return found[0] if found else None

    def below_root(self, name: str) -> str:
        """The name with forward slashes, without the root where it starts with it, without a query."""
        text = name.strip().replace("\\", "/")
        text = text.partition("?d=")[2] or text  # Label Studio's local files
        text = text.partition("?")[0] if "://" in text else text
        root = next((root for root in self.root_texts if composed(text).startswith(f"{root}/")), None)
        return text if root is None else composed(text).removeprefix(f"{root}/")

    def without_root(self, text: str) -> str:
        """A path that starts at a folder above the root, from the root on; others as they are."""
        parts = tuple(normal(text).split("/"))
        counts = range(1, min(len(parts), len(self.root.parts)))
        above = (count for count in counts if parts[:count] == self.root.parts[-count:])
        return "/".join(parts[next(above, 0) :])

    def homes(self, folder: str) -> tuple[str, ...]:
        """Beginnings of the paths that a file in `folder` can mean."""
        parts = folder.split("/") if folder else []
        above = ("/".join(parts[:count]) + "/" for count in range(len(parts), 0, -1))
        home = next((place for place in above if place in self.folders), "")
        if home or not folder:
            return (home,)
        named = tuple(place for place in self.folders if f"/{place}".endswith(f"/{last(folder)}/"))
        return named or ("",)

    def missing(self, name: str, text: str) -> BlemishError:
        alike = [path for key, table in self.tables for path in table.get(key(last(text)), ())]
        other = f"; {alike[0]} lies in another folder" if alike else ""
        return BlemishError(
            f"{self.root} must hold the image '{name}'. Received: no such file{other}. "
            "Add the image or correct the name."
        )

    @cached_property
    def path_set(self) -> frozenset[str]:
        return frozenset(self.paths)

    @cached_property
    def composed(self) -> dict[str, list[str]]:
        """Paths by their composed form."""
        groups: dict[str, list[str]] = {}
        for path in self.paths:
            groups.setdefault(composed(path), []).append(path)
        return groups

    @cached_property
    def root_texts(self) -> tuple[str, ...]:
        """The root as a name may write it."""
        return tuple({composed(root.as_posix()) for root in (self.root, self.root.absolute())})

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds files, directly or below, with a slash at the end."""
        parents = {path.rpartition("/")[0] for path in self.paths}
        parts = (folder.split("/") for folder in parents if folder)
        return frozenset("/".join(p[:count]) + "/" for p in parts for count in range(1, len(p) + 1))

    @cached_property
    def folder_names(self) -> frozenset[str]:
        return frozenset(folded(folder.split("/")[-2]) for folder in self.folders)

    @cached_property
    def tables(self) -> tuple[_Table, ...]:
        """Files by the forms that a name's last part may have, most exact first."""

        def plain(text: str) -> str:
            return folded(unquote(text))

        def stem(text: str) -> str:
            return folded(without_suffix(text))

        forms: list[tuple[_Form, _Form]] = [
            (composed, composed),
            (folded, folded),
            (composed, lambda text: composed(without_suffix(text))),
            (folded, stem),
            (plain, folded),
            (stem, stem),
        ]
        return tuple(_Table(named, grouped_by(self.paths, own)) for named, own in forms)


_Form = Callable[[str], str]


class _Table(NamedTuple):
    """key: form of a name's last part; files: that form → the files that have it"""

    key: _Form
    files: dict[str, list[str]]


def two_files(name: str, paths: Sequence[str]) -> BlemishError:
    return BlemishError(
        f"The name '{name}' must mean one image. Received: {paths[0]} and {paths[1]}. "
        "Rename one of them, or write its whole path."
    )


def overlooked(named: str, path: str) -> str:
    """Difference between a file name that was found and a name, as a reason for a warning; "" for nothing."""
    wanted, own = composed(named), composed(last(path))
    if wanted in (own, without_suffix(own)):
        return ""
    if folded(wanted) in (folded(own), folded(without_suffix(own))):
        return OTHER_CASE
    return ENCODED if folded(unquote(wanted)) == folded(own) else OTHER_SUFFIX


def composed(text: str) -> str:
    """Text with accents as part of their letters (NFC), as one system writes it and another does not."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Text that is equal for texts that differ in case or in how letters are composed, as for some file
    systems.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def last(path: str) -> str:
    return path.rpartition("/")[2]


def folders_of(path: str) -> list[str]:
    return [folded(part) for part in path.split("/")[:-1]]


def normal(path: str) -> str:
    """Path without `.`, doubled slashes and inner `..`; leading `..` and a leading slash stay."""
    parts: list[str] = []
    for part in PurePosixPath(path.lstrip("/")).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def without_suffix(name: str) -> str:
    """File name without the suffix of an image type; other dots belong to the name."""
    front, dot, suffix = name.rpartition(".")
    return front if front and f"{dot}{suffix.lower()}" in SUFFIXES else name


def shared_end(first: Sequence[str], second: Sequence[str]) -> int:
    """Number of equal items at the end of both."""
    pairs = enumerate(zip(reversed(first), reversed(second), strict=False))
    return next((count for count, (a, b) in pairs if a != b), min(len(first), len(second)))


def closeness(path: str, folder: str) -> int:
    """Number of folders that a path shares with a folder, counted from the root and from the end."""
    own, other = folders_of(path), folders_of(f"{folder}/")
    return shared_end(own[::-1], other[::-1]) + shared_end(own, other)


def grouped_by(paths: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(key(last(path)), []).append(path)
    return groups
