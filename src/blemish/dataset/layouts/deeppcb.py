"""The DeepPCB layout: boards beside an aligned good template, boxes of six types in text files.

Source: Tang et al. 2019, "Online PCB defect detector on a new PCB defect dataset". Lists `trainval.txt` and
`test.txt` of "group/board/stem.jpg group/board_not/stem.txt"; the images are stem_test.jpg and stem_temp.jpg.
"""

from __future__ import annotations

from blemish.dataset.layouts.common import Contents, Source, Tree, collect, join, parent
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError
from blemish.untrusted import read_text

TYPES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")  # numbered from 1 in the files
SPLIT_OF_LIST = {"trainval.txt": "train", "test.txt": "test"}


def detect(tree: Tree) -> str | None:
    """trainval.txt or test.txt lists boards with boxes, and boards have templates."""
    lists = find_lists(tree)
    if not lists or not any(file.endswith("_temp.jpg") for file in tree.images):
        return None
    return f"{lists[0]} lists test images with boxes, beside templates (*_temp.jpg)"


def read(source: Source) -> Contents:
    entries = [
        (file, line.strip())
        for file in find_lists(source.tree)
        for line in read_text(source.root / file).splitlines()
        if line.strip()
    ]
    samples, skipped = collect(
        entries, lambda entry: read_sample(source, *entry), name=lambda e: e[1], skip=source.skip_broken
    )
    boxes = (join(parent(file), line.split()[-1]) for file, line in entries)
    return Contents(tuple(samples), TYPES, skipped, read=frozenset({*find_lists(source.tree), *boxes}))


def find_lists(tree: Tree) -> list[str]:
    """The list files that stand beside group folders, training first."""
    found = [file for file in tree.files if file.rpartition("/")[2] in SPLIT_OF_LIST]
    beside = [f for f in found if any(i.startswith(join(parent(f), "group")) for i in tree.images)]
    return sorted(beside, reverse=True)


def read_sample(source: Source, list_file: str, line: str) -> Sample:
    """Sample of a line of a list: the board, its template, and its boxes."""
    folder, parts = parent(list_file), line.split()
    if len(parts) != 2:
        raise BlemishError(
            f"{source.root / list_file} must hold 'image boxes' lines. Received: '{line}'. Correct the line."
        )
    image, boxes = join(folder, parts[0]), join(folder, parts[1])
    board, template = (image.removesuffix(".jpg") + end for end in ("_test.jpg", "_temp.jpg"))
    if board not in source.tree.image_set:
        raise BlemishError(
            f"{source.root / list_file} must list images that are there. Received: '{line}', "
            f"but no {board}. Add the image or remove the line."
        )
    return Sample(
        source.root / board,
        board,
        read_boxes(source, boxes),
        group=parts[0].partition("/")[0],
        split=SPLIT_OF_LIST[list_file.rpartition("/")[2]],
        reference=source.root / template if template in source.tree.image_set else None,
    )


def read_boxes(source: Source, file: str) -> tuple[Annotation, ...]:
    """Lines "x1 y1 x2 y2 type"; corners are taken as half-open pixel coordinates."""
    lines = read_text(source.root / file).splitlines()
    return tuple(
        read_box(line, f"{source.root / file} line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )


def read_box(line: str, place: str) -> Annotation:
    try:
        x1, y1, x2, y2, kind = (int(value) for value in line.replace(",", " ").split())
    except ValueError as error:
        raise BlemishError(
            f"{place} must hold 'x1 y1 x2 y2 type'. Received: '{line}'. Correct the line."
        ) from error
    if not 1 <= kind <= len(TYPES):
        known = ", ".join(f"{i} {name}" for i, name in enumerate(TYPES, start=1))
        raise BlemishError(f"{place} must name a known type ({known}). Received: {kind}. Correct the line.")
    return Annotation(TYPES[kind - 1], (float(x1), float(y1), float(x2), float(y2)))
