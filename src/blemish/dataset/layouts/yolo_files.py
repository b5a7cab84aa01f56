"""Which label file belongs to which image in YOLO's folders.

Label files lie in `labels/` where the image lies in `images/` or above, or beside the image. Their name is
the image's, with or without its suffix, in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from blemish.dataset.layouts.common import Source, Tree, beginning, decimal, grouped, join, parent
from blemish.dataset.layouts.identity import composed, folded, last, without_suffix
from blemish.errors import BlemishError
from blemish.untrusted import read_bytes

LABEL_FOLDERS = ("labels", "label", "txt")
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
OTHER_TEXTS = ("readme", "licen", "requirements", "notes", "changelog", "classes", "predefined_classes")
LISTS = ("train.txt", "val.txt", "valid.txt", "test.txt", "trainval.txt")
NO_IMAGE = "label files of no image"
SAME_FILE = "another label file of the same image says the same"
MAX_LABEL_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Pairs:
    """Label files of a tree. labels: image → its label file; strays: label files of no image"""

    labels: dict[str, str]
    strays: list[str]
    left_out: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def label_files(tree: Tree, lists: Collection[str] = ()) -> list[str]:
    """Text files that may hold labels. lists: files that data.yaml names as lists of images"""
    texts = [file for file in tree.files if file.lower().endswith(".txt") and file not in lists]
    return [
        file
        for file in texts
        if last(file).lower() not in LISTS and not last(file).lower().startswith(OTHER_TEXTS)
    ]


def paired(source: Source, lists: Collection[str] = ()) -> Pairs:
    """Label files and their images; a label file of several images, or two of one, are faults."""
    tree = source.tree
    by_name = grouped(tree.images, lambda image: folded(without_suffix(image)))
    for whole, images in grouped(tree.images, folded).items():
        by_name[whole] = [*by_name.get(whole, []), *images]
    owners = {file: owners_of(file, by_name) for file in label_files(tree, lists)}
    files: dict[str, list[str]] = {}
    faults: dict[str, str] = {}
    for file, images in owners.items():
        if len(images) > 1:
            what = f"{source.root / file} must belong to one image. Received: {' and '.join(images)}."
            faults |= dict.fromkeys(images, f"{what} Rename one of them and its labels.")
        for image in images[:1]:
            files.setdefault(image, []).append(file)
    left_out: dict[str, str] = {}
    for image, same in files.items():
        if len(same) > 1 and len({content(source, file) for file in same}) > 1:
            what = f"{source.root / image} must have one label file. Received: {' and '.join(same)}."
            faults[image] = f"{what} Remove all but one."
        left_out |= dict.fromkeys(same[1:], SAME_FILE)
    labels = {image: same[0] for image, same in files.items()}
    return Pairs(labels, [file for file, images in owners.items() if not images], left_out, faults)


def content(source: Source, file: str) -> bytes:
    return read_bytes(source.root / file, max_bytes=MAX_LABEL_BYTES).strip()


def owners_of(file: str, by_name: dict[str, list[str]]) -> list[str]:
    """Images that a label file may belong to, in the first of its folders that has any."""
    name = last(file)[: -len(".txt")]
    for folder in image_folders(parent(file)):
        found = by_name.get(folded(join(folder, name)), [])
        exact = [i for i in found if composed(last(i)) == composed(name)]
        exact += [i for i in found if composed(without_suffix(last(i))) == composed(name)]
        if found:
            return exact or found
    return []


def image_folders(folder: str) -> list[str]:
    """Folders whose images a label file in `folder` may describe, the likeliest first."""
    parts = folder.split("/")
    places = [place for place, part in enumerate(parts) if part.lower() in LABEL_FOLDERS]
    if not places:
        return [folder]
    before, after = parts[: places[-1]], parts[places[-1] + 1 :]
    inner = ["/".join([*before, name, *after]) for name in IMAGE_FOLDERS]
    return [*inner, "/".join([*before, *after]), folder]


def in_label_folder(file: str) -> bool:
    return any(part.lower() in LABEL_FOLDERS for part in file.split("/")[:-1])


def looks_right(tree: Tree, file: str) -> bool:
    """Tell a label file by its first line: numbers, or where it lies in a folder of labels, some."""
    words = first_line(tree, file)
    numbers = sum(map(is_number, words))
    return numbers > 0 if in_label_folder(file) else len(words) == numbers >= 5


def first_line(tree: Tree, file: str) -> Sequence[str]:
    """Words of the first line that has any."""
    text = beginning(tree.root / file).decode("utf-8-sig", errors="replace").replace("\0", "")
    return next((line.split() for line in text.splitlines() if line.strip()), [])


def is_number(word: str) -> bool:
    try:
        return decimal(word) is not None
    except ValueError:
        return False


def refuse_dota(source: Source, files: Sequence[str]) -> None:
    """Raise BlemishError where label files are DOTA's: eight corners in pixels, a class and a difficulty."""
    for file in files:
        if is_dota(source.tree, file):
            raise BlemishError(
                f"{source.root / file} must hold YOLO's lines. Received: DOTA's format (x1 y1 … x4 y4 class "
                "difficulty, in pixels). Name their folder 'labelTxt'."
            )


def is_dota(tree: Tree, file: str) -> bool:
    """Tell DOTA's label files by their first line: a header, or eight corners before a class."""
    words = first_line(tree, file)
    corners = len(words) in (9, 10) and all(map(is_number, words[:8])) and not is_number(words[8])
    return corners or "".join(words[:1]).startswith(("imagesource:", "gsd:"))


def misplaced(source: Source, pairs: Pairs) -> dict[str, str]:
    """Faults of images without a label file whose name a label file in a strange folder has."""
    free = grouped(
        (image for image in source.tree.images if image not in pairs.labels),
        lambda image: folded(without_suffix(last(image))),
    )
    faults = {}
    for file in pairs.strays:
        name = folded(without_suffix(last(file)[: -len(".txt")]))
        for image in free.get(name, [])[:1]:
            if looks_right(source.tree, file):
                faults[image] = (
                    f"{source.root / file} must lie where the labels of its image do. Received: no image of "
                    f"its name there, while {image} has no label file. Move or remove it."
                )
    return faults
