"""File names for output: made of the samples' own, and safe wherever they may come from.

A name never leads out of its folder, is no device on Windows, is neither hidden nor too long, holds nothing
that breaks a list of names, and differs from all others even where case and accents' encoding do not count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from blemish.dataset.layouts.common import split_of_path
from blemish.dataset.layouts.identity import folded
from blemish.dataset.samples import Dataset

MAX_BYTES = 200  # of 255 that file systems take: the temporary file of writing has a longer name
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
UNSAFE = frozenset('<>:"|?*\\/')
SKIPPED = (".", "__MACOSX")  # beginnings of names that reading a folder passes over


def flat_names(dataset: Dataset, *, spaces: bool = True) -> dict[str, str]:
    """Sample id → a file name whose stem is unique: its own where possible, else made of its path.

    spaces: whether names may hold any
    """
    kinds: list[Callable[[PurePosixPath], str]] = [
        lambda path: path.name,
        lambda path: str(path).replace("/", "__"),  # 'a/b/c.png' → 'a__b__c.png'
        lambda path: (
            f"{str(path.with_suffix('')).replace('/', '__')}_{path.suffix[1:]}{path.suffix}"
        ),  # a__c_png.png
    ]
    wanted: dict[str, str] = {}
    for kind in kinds:
        wanted = {sample.id: safe_name(kind(PurePosixPath(sample.id)), spaces=spaces) for sample in dataset}
        if len({folded(PurePosixPath(name).stem) for name in wanted.values()}) == len(wanted):
            return wanted
    return unique(wanted, lambda name: [PurePosixPath(name).stem])


def tree_names(dataset: Dataset) -> dict[str, str]:
    """Sample id → a path below the output: its own, or flat where its folders name another split."""
    wanted = {}
    for sample in dataset:
        path = safe_path(sample.id)
        if split_of_path(path) not in (None, sample.split):
            path = safe_name(path.replace("/", "__"))
        wanted[sample.id] = path
    # Of 'a.png' and 'a.png/b.png' the second needs a folder of the first one's name.
    return unique(wanted, lambda name: [name, *(str(parent) for parent in PurePosixPath(name).parents)][:-1])


def safe_path(path: str) -> str:
    """The path with each of its parts made safe; it stays below the folder that it is put into."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    safe = [safe_name(part) for part in parts or ["_"]]
    if safe[0].lower() == "splits":  # the folder of lists
        safe[0] = f"_{safe[0]}"
    return "/".join(safe)


def safe_name(name: str, *, spaces: bool = True) -> str:
    """The name with every character replaced that is unsafe, shortened where it is long."""
    kept = "".join(
        letter if letter.isprintable() and letter not in UNSAFE and (spaces or letter != " ") else "_"
        for letter in name
    )
    path = PurePosixPath(kept.strip())
    kept = f"{path.stem.rstrip(' .')}{path.suffix.rstrip(' .')}" or "_"
    if kept.startswith(SKIPPED) or RESERVED.fullmatch(kept):
        kept = f"_{kept}"
    return kept if len(kept.encode()) <= MAX_BYTES else shortened(kept, name)


def shortened(name: str, origin: str) -> str:
    """The beginning of a long name, a mark of all of it, and its suffix."""
    mark = hashlib.sha256(origin.encode(errors="surrogateescape")).hexdigest()[:10]
    path = PurePosixPath(name)
    suffix = path.suffix if len(path.suffix) <= 10 else ""
    room = MAX_BYTES - len(suffix.encode()) - len(mark) - 1
    return f"{path.stem.encode()[:room].decode(errors='ignore')}~{mark}{suffix}"


def unique(wanted: Mapping[str, str], claims: Callable[[str], list[str]]) -> dict[str, str]:
    """Names with a number at the stem of each that is taken.

    claims: a name's own claim, which is for it alone, and then those that it shares with others
    """
    alone: set[str] = set()
    shared: set[str] = set()
    names = {}
    for key, name in wanted.items():
        number, free = 1, name
        while True:
            own, *others = [folded(claim) for claim in claims(free)]
            if own not in alone | shared and not alone & {*others}:
                break
            number += 1
            path = PurePosixPath(name)
            free = str(path.with_name(f"{path.stem}_{number}{path.suffix}"))
        alone.add(own)
        shared.update(others)
        names[key] = free
    return names


def renamed(names: Mapping[str, str]) -> list[str]:
    """A line on names of which not even the stem could be kept; none without any."""
    changed = [(old, new) for old, new in names.items() if PurePosixPath(old).stem not in new]
    if not changed:
        return []
    old, new = changed[0]
    return [f"file names are made safe and unique: {len(changed)} are changed, as {old!r} to '{new}'"]
