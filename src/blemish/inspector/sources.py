"""Images to be inspected: files, folders, lists, globs, videos, paths from stdin.

Names of a folder or glob are read at once, so that a wrong path is refused before any work; lists, stdin and
videos are read as they go. Pixels are read when an item is asked for them, and kept by nobody here.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path

from blemish.arrays import Pixels
from blemish.dataset.hashing import file_hash
from blemish.dataset.layouts import detect_layout, load_dataset
from blemish.dataset.layouts.common import list_files
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES, read_image
from blemish.images.video import SUFFIXES as VIDEO_SUFFIXES
from blemish.images.video import frame_count, video_frames

STDIN = "-"
LIST_SUFFIX = ".txt"
Note = Callable[[str], None]


@dataclass(frozen=True)
class Item:
    """An image to be inspected.

    name: in the answer; stem: of files that are made of it, which others may share
    read: its pixels as stored; raises BlemishError. Of a video's frame only until the next item is asked for
    first_row: where the image is a piece of a web
    digest: SHA-256 of the file that it came from; raises BlemishError. None where it came from no single one
    """

    name: str
    stem: str
    read: Callable[[], Pixels]
    first_row: int | None = None
    digest: Callable[[], str] | None = None


@dataclass(frozen=True)
class ItemStream:
    """Items in their order. count: how many there are; None where only the end tells"""

    items: Iterable[Item]
    count: int | None


def source_of(paths: list[Path], note: Note, *, every: int = 1) -> ItemStream:
    """Items of all paths, in their order.

    note: called with a line when images of a folder are left out; every: n, for every n-th frame of a video
    Raises BlemishError for a path that does not exist, a folder without images, a glob that nothing matches.
    """
    parts = [part_of(path, note, every) for path in paths]
    counts = [part.count for part in parts if part.count is not None]
    return ItemStream(
        chain.from_iterable(part.items for part in parts),
        sum(counts) if len(counts) == len(parts) else None,
    )


def part_of(path: Path, note: Note, every: int) -> ItemStream:
    if str(path) == STDIN:
        return ItemStream(listed(stdin_lines(), STDIN, Path(), every), None)
    if path.suffix.lower() == LIST_SUFFIX and path.is_file():
        return ItemStream(listed(file_lines(path), str(path), path.parent, every), None)
    if path.is_dir():
        return files(images_below(path, note), every)
    if path.is_file():
        return files([path], every)
    return files(matching(path), every)


def files(paths: list[Path], every: int) -> ItemStream:
    items = chain.from_iterable(items_of(path, every) for path in paths)
    # A video whose header does not tell its length counts 0 frames.
    counts = [-(-frame_count(path) // every) for path in paths if is_video(path)]
    return ItemStream(items, len(paths) - len(counts) + sum(counts) if all(counts) else None)


def items_of(path: Path, every: int) -> Iterator[Item]:
    """Item of an image, or items of a video's frames."""
    if is_video(path):
        yield from frames_of(path, every)
    else:
        yield Item(str(path), stem_of(path), partial(read_image, path), digest=partial(file_hash, path))


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def frames_of(path: Path, every: int) -> Iterator[Item]:
    """Items of a video's frames; an error of the video is an item that cannot be read."""
    digest = cache(partial(file_hash, path))  # read once for all frames
    try:
        for number, read in video_frames(path, every=every):
            yield Item(f"{path}#{number:06d}", f"{stem_of(path)}__{number:06d}", read, digest=digest)
    except BlemishError as error:
        yield Item(str(path), stem_of(path), partial(refused, str(error)), digest=digest)


def refused(message: str) -> Pixels:
    raise BlemishError(message)


def stem_of(path: Path) -> str:
    """Stem of a file with its folder's name before it, as names repeat from folder to folder."""
    return f"{path.parent.name}__{path.stem}" if path.parent.name else path.stem


def listed(lines: Iterable[str], name: str, folder: Path, every: int) -> Iterator[Item]:
    """Items of a list's lines, relative to a folder. Raises BlemishError where there is no line."""
    empty = True
    for line in lines:
        if text := line.strip():
            empty = False
            yield from items_of(folder / text, every)
    if empty:
        raise BlemishError(f"{name} names no image. Write one path a line.")


def file_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        raise BlemishError(
            f"{path} must be a list of paths, one a line, in UTF-8. Received: {' '.join(str(error).split())}."
        ) from error


def stdin_lines() -> Iterator[str]:
    """Lines of stdin as they come. `sys.stdin` is left alone: no process ends while a thread waits in it."""
    with os.fdopen(os.dup(0), encoding="utf-8", errors="surrogateescape") as file:
        yield from file


def matching(path: Path) -> list[Path]:
    """Files that a glob matches, sorted; ** stands for any folders."""
    if not glob.has_magic(str(path)):
        raise BlemishError(f"{path} does not exist. Give an image or a folder of images.")
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - ** as shells have it
    inside = [path for path in found if path.is_file()]
    if not inside:
        raise BlemishError(f"{path} matches no file. Check the path and the pattern.")
    return inside


def images_below(folder: Path, note: Note) -> list[Path]:
    """Images of a dataset without its masks and templates; of any other folder all image files."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise BlemishError(f"{folder} holds no image. Looked for {', '.join(sorted(SUFFIXES))}.")
    if not (folder / SETTINGS_NAME).is_file() and not detect_layout(list_files(folder)):
        return found
    try:
        dataset = load_dataset(folder, skip_broken=True)
    except BlemishError as error:
        note(f"all {len(found)} images in {folder} are inspected, masks too if there are any: {error}")
        return found
    unread = (dataset.root / name for name in dataset.skipped)  # an image without its mask is still an image
    images = sorted({sample.image for sample in dataset} | set(unread) & set(found))
    if left_out := len(set(found) - set(images)):
        note(
            f"{folder} is a dataset ({dataset.layout}: {dataset.reason}): its {len(images)} images are "
            f"inspected and {left_out} others, such as masks, are not."
        )
    return images
