"""Files below a folder: images and videos to be inspected, and every other one with the reason why it is not.

Links to folders are followed, and each real folder is read once. A file is taken for an image or a video by
its suffix; what looks like one without a suffix that is read is named, as nobody else would look at it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from blemish.errors import BlemishError
from blemish.folder_lock import LOCK_NAME
from blemish.images.decode import SUFFIXES, UNREAD_IMAGE_SUFFIXES
from blemish.images.video import SUFFIXES as VIDEO_SUFFIXES
from blemish.untrusted import regular_file

# Videos that are not read.
UNREAD_VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".mjpeg", ".mjpg", ".mng", ".mts", ".mxf"}
    | {".ogv", ".vob", ".y4m", ".yuv"}
)
MARKS = re.compile(  # of the formats that cameras, scanners and telephones write
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM.{4}\x00{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00"
    rb"|II\x2a\x00|MM\x00\x2a|II\x2b\x00|MM\x00\x2b|RIFF.{4}(?:WEBP|AVI )|P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s"
    rb"|.{4}ftyp|\x1a\x45\xdf\xa3|\xff\x0a|\x00\x00\x00\x0cJXL |\x00\x00\x00\x0cjP  |8BPS\x00\x01",
    re.DOTALL,
)
RECORD, DRAFT, SUMMARY, OVERLAYS = (
    "inspections.jsonl",
    "inspections.jsonl.part",
    "inspections-summary.json",
    "overlays",
)
IMAGE_TABLE, DEFECT_TABLE, SHEET = "inspections.csv", "defects.csv", "sheet"
SHEET_PAGE = re.compile(rf"{SHEET}(-\d\d+)?\.png")
UNFINISHED = re.compile(r"inspections-unfinished-\d+\.jsonl")  # answers of inspections that did not end
WRITTEN = frozenset({RECORD, DRAFT, SUMMARY, LOCK_NAME})
# Folder of pictures that blemish draws, and the files that lie beside it then.
DRAWN = ((OVERLAYS, {RECORD}), (OVERLAYS, {DRAFT}), ("pictures", {"run.json", "log.jsonl"}))


class Why(StrEnum):
    """Reason why a file is not inspected, in the words of the summary."""

    MASK = "masks or references of a dataset"
    LONE_MASK = "masks by name and values that fit no image"
    WRITTEN = "written by blemish"
    HIDDEN = "hidden"
    OTHER = "no images"
    TWICE = "folders that were read under another name"
    COMMENT = "comments of a list"
    UNREAD = "images or videos of a type that is not read"
    CLOSED = "folders or links that cannot be read"
    VANISHED = "images that vanished before they could be read"
    OVERWRITTEN = "images that were overwritten before they could be read"
    UNREADY = "images that were still being written, or not read yet, at the end"

    @property
    def is_lack(self) -> bool:
        """True where an image may be there that nobody has looked at."""
        return self in (Why.UNREAD, Why.CLOSED, Why.LONE_MASK, Why.VANISHED, Why.OVERWRITTEN)

    @property
    def remedy(self) -> str:
        """Sentence on what to do about a lack; "" for what is none."""
        return {
            Why.UNREAD: "Save them as PNG or TIFF, or give a file of another suffix by its own path.",
            Why.CLOSED: "Check the links and permissions.",
            Why.VANISHED: "Move or delete images later.",
            Why.OVERWRITTEN: "Give each image a name of its own.",
            Why.LONE_MASK: "Remove them, or give them by their own paths if they are images.",
        }.get(self, "")


@dataclass(frozen=True)
class LeftOut:
    """A file that was found and is not inspected; a folder or a line of a list counts as one.

    path: as text, below the path that was given
    """

    path: str
    why: Why


@dataclass
class FoundFiles:
    """Images and videos below a folder, in order of their paths, and all other files."""

    images: list[Path] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def leave_out(self, path: Path, why: Why) -> None:
        self.left_out.append(LeftOut(str(path), why))

    def add(self, other: FoundFiles) -> None:
        self.images += other.images
        self.left_out += other.left_out

    def leave_out_images(self, names: Set[str], why: Why) -> None:
        """Move images to those left out. names: their paths, as `os.path.normpath` writes them"""
        kept = []
        for path in self.images:
            if os.path.normpath(path) in names:
                self.leave_out(path, why)
            else:
                kept.append(path)
        self.images = kept


def files_below(folder: Path) -> FoundFiles:
    """Find every file below a folder, links to folders followed."""
    found = FoundFiles()
    for place, names, drawn in folders_below(folder, found):
        for name in names:
            path = place / name
            if drawn or is_written(name, names):
                found.leave_out(path, Why.WRITTEN)
            elif name.startswith("."):
                found.leave_out(path, Why.HIDDEN)
            elif is_inspected(name):
                found.images.append(path)
            else:
                found.leave_out(path, why_not(path))
    found.images.sort()
    return found


def folders_below(folder: Path, found: FoundFiles) -> Iterator[tuple[Path, list[str], bool]]:
    """The folder and those below it: path, names of the files, and whether blemish has drawn them."""
    seen: set[str] = set()
    drawn: set[str] = set()

    def closed(error: OSError) -> None:
        found.leave_out(Path(error.filename), Why.CLOSED)

    for place, below, names in os.walk(folder, followlinks=True, onerror=closed):
        real, here = os.path.realpath(place), Path(place)
        if real in seen:
            below.clear()
            found.leave_out(here, Why.TWICE)
            continue
        seen.add(real)
        own = place in drawn
        for name in [name for name in below if name.startswith((".", "__MACOSX"))]:
            below.remove(name)
            found.leave_out(here / name, Why.HIDDEN)
        inside = below if own else [name for name, beside in DRAWN if beside <= set(names)]
        drawn.update(os.path.join(place, name) for name in inside)  # noqa: PTH118 - as os.walk names it
        below.sort()
        yield here, sorted(names), own


def is_written(name: str, beside: Sequence[str]) -> bool:
    """True for a file by blemish. beside: names of all files in its folder"""
    if name in (IMAGE_TABLE, DEFECT_TABLE) or SHEET_PAGE.fullmatch(name):
        return RECORD in beside or DRAFT in beside
    if UNFINISHED.fullmatch(name):
        return True
    return name in WRITTEN or (name == "embeddings.png" and "embeddings.csv" in beside)


def unfinished_name(number: int) -> str:
    """Name for the answers of an inspection that did not end, see `UNFINISHED`."""
    return f"inspections-unfinished-{number}.jsonl"


def sheet_pages(folder: Path) -> list[Path]:
    """Pages of a contact sheet in a folder, in order."""
    return sorted(path for path in folder.iterdir() if SHEET_PAGE.fullmatch(path.name))


def is_inspected(name: str) -> bool:
    """True for the name of an image or a video that is read."""
    return os.path.splitext(name)[1].lower() in SUFFIXES | VIDEO_SUFFIXES  # noqa: PTH122 - many, and quick


def why_not(path: Path) -> Why:
    """Reason why a file of another suffix is not inspected: by what it is, not only by its name."""
    if path.suffix.lower() in UNREAD_IMAGE_SUFFIXES | UNREAD_VIDEO_SUFFIXES:
        return Why.UNREAD
    if path.is_symlink() and not path.suffix and not path.exists():  # of a folder, as far as anyone can tell
        return Why.CLOSED
    try:
        with regular_file(path).open("rb") as file:
            return Why.UNREAD if MARKS.match(file.read(64)) else Why.OTHER
    except (OSError, BlemishError):
        return Why.OTHER
