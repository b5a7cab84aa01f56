"""Images to be inspected: files, folders, lists, globs, videos, paths from stdin.

Names of a folder or glob are read at once, so that a wrong path is refused before any work; lists, stdin and
videos are read as they go. Pixels are read when an item is asked for them, and kept by nobody here. What is
found and not inspected is kept with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain
from pathlib import Path

from blemish.arrays import Pixels
from blemish.dataset.hashing import file_hash
from blemish.dataset.layouts import detect_layout, load_dataset
from blemish.dataset.layouts.common import Tree, list_files
from blemish.dataset.layouts.mask_index import find_masks
from blemish.dataset.mask_files import mask_facts
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES, page_count, read_image
from blemish.images.video import SUFFIXES as VIDEO_SUFFIXES
from blemish.images.video import frame_count, video_frames
from blemish.inspection import Inspection
from blemish.inspector.found_files import FoundFiles, LeftOut, Why, files_below
from blemish.inspector.path_lists import file_lines, is_address, matching, path_of, stdin_lines
from blemish.untrusted import regular_file

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
    earlier: its answer, where an inspection that did not end has given it
    """

    name: str
    stem: str
    read: Callable[[], Pixels]
    first_row: int | None = None
    digest: Callable[[], str] | None = None
    earlier: Inspection | None = None


@dataclass(frozen=True)
class ItemStream:
    """Items in their order.

    count: how many there are, but that a file of several pages counts one; None where only the end tells
    left_out: what was found and is no item; whole when all items have been taken
    """

    items: Iterable[Item]
    count: int | None
    left_out: list[LeftOut] = field(default_factory=list)


def source_of(paths: list[Path], note: Note, *, every: int = 1) -> ItemStream:
    """Items of all paths, in their order.

    note: called with a line when images of a folder are left out; every: n, for every n-th frame of a video
    Raises BlemishError for a path that does not exist, a folder without images, a glob that nothing matches.
    """
    left_out: list[LeftOut] = []
    parts = [part_of(path, note, every, left_out) for path in paths]
    counts = [part.count for part in parts if part.count is not None]
    return ItemStream(
        chain.from_iterable(part.items for part in parts),
        sum(counts) if len(counts) == len(parts) else None,
        left_out,
    )


def part_of(path: Path, note: Note, every: int, left_out: list[LeftOut]) -> ItemStream:
    """Items of one path. left_out: takes what is no item"""
    if str(path) == STDIN:
        return ItemStream(listed(stdin_lines(), "standard input", Path(), every, left_out), None)
    if path.suffix.lower() == LIST_SUFFIX and path.is_file():
        return ItemStream(listed(file_lines(path), str(path), path.parent, every, left_out), None)
    if path.exists() and not path.is_dir():
        return files([regular_file(path)], every)
    found = images_below(path, note) if path.is_dir() else matching(path)
    left_out += found.left_out
    return files(found.images, every)


def files(paths: list[Path], every: int) -> ItemStream:
    items = chain.from_iterable(items_of(path, every) for path in paths)
    # A video whose header does not tell its length counts 0 frames.
    counts = [-(-frame_count(path) // every) for path in paths if is_video(path)]
    return ItemStream(items, len(paths) - len(counts) + sum(counts) if all(counts) else None)


def items_of(path: Path, every: int) -> Iterator[Item]:
    """Item of an image, items of pages or frames; of what is no regular file, one that cannot be read."""
    try:
        regular_file(path)
    except BlemishError as error:
        yield Item(str(path), stem_of(path), partial(refused, str(error)))
        return
    if is_video(path):
        yield from frames_of(path, every)
    else:
        yield from pages_of(path)


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def pages_of(path: Path) -> Iterator[Item]:
    """Item of an image; of a file of several pictures, as a TIFF or an animation may be, an item of each."""
    digest = cache(partial(file_hash, path))  # read once for all pages
    try:
        pages = page_count(path)
    except BlemishError:  # which reading it tells again
        pages = 1
    if pages == 1:
        yield Item(str(path), stem_of(path), partial(read_image, path), digest=digest)
        return
    for page in range(pages):
        read = partial(read_image, path, page=page)
        yield Item(f"{path}#{page:06d}", f"{stem_of(path)}__{page:06d}", read, digest=digest)


def frames_of(path: Path, every: int) -> Iterator[Item]:
    """Items of a video's frames; an error of the video is an item that cannot be read."""
    digest = cache(partial(file_hash, path))  # read once for all frames
    try:
        for number, read in video_frames(path, every=every):
            yield Item(f"{path}#{number:06d}", f"{stem_of(path)}__{number:06d}", read, digest=digest)
    except BlemishError as error:
        yield Item(str(path), stem_of(path), partial(refused, str(error)), digest=digest)


NO_ADDRESS = (
    "A line of a list must be the path of a file. Received: '{}', an address. Copy the file and name that."
)


def refused(message: str) -> Pixels:
    raise BlemishError(message)


def stem_of(path: Path) -> str:
    """Stem of a file with its folder's name before it, as names repeat from folder to folder."""
    return f"{path.parent.name}__{path.stem}" if path.parent.name else path.stem


def listed(
    lines: Iterable[str], name: str, folder: Path, every: int, left_out: list[LeftOut]
) -> Iterator[Item]:
    """Items of a list's lines, relative to a folder. Raises BlemishError where there is no line.

    An address gives an item that cannot be read: lines are paths, and no connection is opened.
    """
    empty = True
    for number, line in enumerate(lines, start=1):
        path = path_of(line, folder)
        if path is None and line.strip():
            left_out.append(LeftOut(f"{name}, line {number}", Why.COMMENT))
        elif path is not None:
            empty = False
            if is_address(line) and not path.exists():
                yield Item(line.strip(), "address", partial(refused, NO_ADDRESS.format(line.strip())))
            else:
                yield from items_of(path, every)
    if empty:
        raise BlemishError(f"{name} names no image. Write one path a line.")


def images_below(folder: Path, note: Note) -> FoundFiles:
    """Images and videos below a folder, without the masks and references of a dataset.

    An image is left out only where the dataset itself uses it as a mask or a reference, or where name, folder
    and values alike are those of a mask.
    """
    found = files_below(folder)
    if not found.images:
        raise BlemishError(f"{folder} holds no image. {held(found)}")
    try:
        tree = list_files(folder)
        layout = bool(detect_layout(tree)) or (folder / SETTINGS_NAME).is_file()
        dataset = load_dataset(folder, skip_broken=True) if layout else None
    except BlemishError as error:
        dataset, tree = None, tree_of(folder, found)
        note(
            f"{folder} cannot be read as a dataset, so that masks are told by names and values alone: {error}"
        )
    number = len(found.images)
    images = names_of(sample.image for sample in dataset) if dataset else set()
    if dataset is not None:
        used = names_of(dataset.root / file for file in dataset.account.used)
        found.leave_out_images(used - images, Why.MASK)
    leave_out_masks(found, tree, images)
    if left_out := number - len(found.images):
        kind = f"a dataset ({dataset.layout}: {dataset.reason})" if dataset else "a folder with masks"
        note(
            f"{folder} is {kind}: its {len(found.images)} images are inspected and {left_out} others, its "
            "masks and references, are not."
        )
    return found


def tree_of(folder: Path, found: FoundFiles) -> Tree:
    """Tree of the images alone, where some folder cannot be read or the dataset is damaged."""
    return Tree(folder, tuple(sorted(path.relative_to(folder).as_posix() for path in found.images)), {})


def names_of(paths: Iterable[Path]) -> set[str]:
    """Paths as text, in the one form that two ways to write a path share."""
    return {os.path.normpath(path) for path in paths}


def leave_out_masks(found: FoundFiles, tree: Tree, images: set[str]) -> None:
    """Leave out images whose names and folders are those of masks, and whose values are no photograph's.

    images: that a dataset uses as images, which stay
    """
    index = find_masks(tree)
    paired = names_of(tree.root / mask for masks in index.masks_of.values() for mask in masks)
    lone = names_of(tree.root / mask for mask in index.orphans)
    asked = names_of(found.images) - images
    for why, named in ((Why.MASK, paired & asked), (Why.LONE_MASK, lone & asked)):
        found.leave_out_images({name for name in named if is_mask(Path(name))}, why)


def is_mask(path: Path) -> bool:
    try:
        return not mask_facts(path).photograph
    except BlemishError:  # to be an ERROR, as an image that cannot be read
        return False


def held(found: FoundFiles) -> str:
    """Sentence on a folder without images: what was looked for, and what is there instead."""
    unread = [left.path for left in found.left_out if left.why.is_lack]
    there = f" It holds {len(unread)} of a type that is not read, such as {unread[0]}." if unread else ""
    return f"Looked for {', '.join(sorted(SUFFIXES | VIDEO_SUFFIXES))}.{there}"
