"""Splits of the Pascal VOC layout: the lists `ImageSets/Main/{train,val,trainval,test}.txt`."""

from __future__ import annotations

from blemish.dataset.layouts.common import SPLIT_OF_FOLDER, Remark, Source, stem
from blemish.errors import BlemishError
from blemish.untrusted import read_text

IMAGE_SETS = "ImageSets/Main"
LISTS = ("trainval", "train", "val", "test")
NO_IMAGE = "they name no image"


def is_list(file: str) -> bool:
    """True for a file of ImageSets, lists of single classes too."""
    return f"/{IMAGE_SETS}/" in f"/{file}"


def list_splits(source: Source) -> tuple[dict[str, str], list[Remark]]:
    """Image → split from the lists; 'trainval' gives way to 'train' and 'val'.

    Raises BlemishError for an image in two splits.
    """
    splits: dict[str, tuple[str, str]] = {}  # image → the list, and where it stands there
    remarks = []
    for name in LISTS:
        for file in source.tree.files:
            if is_list(file) and stem(file).lower() == name and file.lower().endswith(".txt"):
                for number, line in enumerate(read_text(source.root / file).split("\n"), start=1):
                    image = image_of(line, source, file)
                    place = f"{file} line {number}"
                    remarks += [Remark("entry", place, NO_IMAGE)] if image == "" else []
                    if image:
                        refuse_two(name, place, image, splits)
                        splits[image] = (name, place)
    return {image: SPLIT_OF_FOLDER[name] for image, (name, _) in splits.items()}, remarks


def image_of(line: str, source: Source, file: str) -> str | None:
    """Image that a line names; "" where there is none, None for an empty line."""
    text = line.split()[:1]
    if not text:
        return None
    try:
        return source.tree.names.find(text[0], near=file).path
    except BlemishError:
        return ""


def refuse_two(name: str, place: str, image: str, splits: dict[str, tuple[str, str]]) -> None:
    before, where = splits.get(image, (name, ""))
    if before != name and (before, name) not in (("trainval", "train"), ("trainval", "val")):
        raise BlemishError(
            f"{place}: an image must be in one split. Received: {image}, which is also in {where}. "
            "Remove one of the entries."
        )
