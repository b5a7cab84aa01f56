"""The YOLO layout: a text file an image, lines "class cx cy w h" or "class x1 y1 …", in shares of the size.

The class names are in `data.yaml` (or `classes.txt`, `obj.names`). An image without a text file is clean, as
YOLO's trainers have it. Text files lie in `labels/` where the image lies in `images/`, or beside the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from blemish.dataset.layouts.common import (
    Contents,
    Source,
    Tree,
    collect,
    join,
    parent,
    split_of_path,
    stem,
)
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError
from blemish.images.decode import image_size
from blemish.untrusted import read_text

NAME_FILES = ("data.yaml", "dataset.yaml", "data.yml", "classes.txt", "obj.names")


def detect(tree: Tree) -> str | None:
    """A text file of the image's name holds a class number and shares of the size."""
    for image in tree.images:
        text = text_file(tree, image)
        if text and looks_right(tree, text):
            return f"{text} holds 'class cx cy w h' lines for {image}"
    return None


def read(source: Source) -> Contents:
    names = class_names(source)
    texts = {image: text_file(source.tree, image) for image in source.tree.images}
    folders = {parent(image) for image, text in texts.items() if text}
    images = [image for image in texts if parent(image) in folders]
    lists = split_lists(source)
    samples, skipped = collect(
        images,
        lambda image: read_sample(source, image, texts[image], names, lists.get(image)),
        name=str,
        skip=source.skip_broken,
    )
    named = {file for file in source.tree.files if file.rpartition("/")[2] in NAME_FILES}
    read = frozenset({*named, *filter(None, texts.values())})
    return Contents(tuple(samples), tuple(names), skipped, read=read)


def text_file(tree: Tree, image: str) -> str | None:
    """The label file of an image: …/labels/… for …/images/…, else beside it."""
    parts = parent(image).split("/")
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        folder = "/".join([*parts[:last], "labels", *parts[last + 1 :]])
        if (file := f"{folder}/{stem(image)}.txt") in tree.file_set:
            return file
    beside = join(parent(image), f"{stem(image)}.txt")
    return beside if beside in tree.file_set else None


def looks_right(tree: Tree, file: str) -> bool:
    """Tell a label file by its first line: a whole number and at least four shares."""
    with (tree.root / file).open("rb") as stream:
        values = stream.readline(2000).split()
    try:
        return len(values) >= 5 and int(values[0]) >= 0 and all(-1 <= float(v) <= 2 for v in values[1:])
    except ValueError:
        return False


def class_names(source: Source) -> list[str]:
    """Names by class number: from dataset.yaml, data.yaml, or a text file of names."""
    if isinstance(source.settings.classes, tuple):
        return list(source.settings.classes)
    for wanted in NAME_FILES:
        for file in source.tree.files:
            if file.rpartition("/")[2] == wanted and (names := names_in(source, file)):
                return names
    raise BlemishError(
        f"{source.root} must name its classes. Received: no data.yaml with 'names' and no classes.txt. "
        "Add one, or put 'classes: [first, second]' into dataset.yaml."
    )


def names_in(source: Source, file: str) -> list[str]:
    if not file.endswith((".yaml", ".yml")):
        return [line.strip() for line in read_text(source.root / file).splitlines() if line.strip()]
    names = yaml_content(source, file).get("names")
    if isinstance(names, dict):
        return [str(names.get(number, f"class-{number}")) for number in range(max(names, default=-1) + 1)]
    return [str(name) for name in names or []]


def yaml_content(source: Source, file: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read_text(source.root / file))
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise BlemishError(f"{source.root / file} must be YAML. Received: {reason}. Correct it.") from error
    return content if isinstance(content, dict) else {}


def split_lists(source: Source) -> dict[str, str]:
    """Image → split, where data.yaml names text files of image paths; folders are read from the paths."""
    splits: dict[str, str] = {}
    for file in source.tree.files:
        if file.rpartition("/")[2] not in NAME_FILES[:3]:
            continue
        content = yaml_content(source, file)
        for split in ("train", "val", "test"):
            text = join(parent(file), str(content.get(split, "")))
            if text.endswith(".txt") and text in source.tree.file_set:
                lines = read_text(source.root / text).splitlines()
                splits |= {join(parent(text), line.strip().removeprefix("./")): split for line in lines}
    return splits


def read_sample(
    source: Source, image: str, text: str | None, names: Sequence[str], split: str | None
) -> Sample:
    split = split or split_of_path(image)
    if text is None:
        return Sample(source.root / image, image, split=split)
    size = image_size(source.root / image)
    lines = enumerate(read_text(source.root / text).splitlines(), start=1)
    marked = tuple(
        read_line(line, names, size, f"{source.root / text} line {number}")
        for number, line in lines
        if line.strip()
    )
    return Sample(source.root / image, image, marked, split=split)


def read_line(line: str, names: Sequence[str], size: tuple[int, int], place: str) -> Annotation:
    """Annotation of a line: a box, or from seven numbers on a polygon."""
    try:
        number, values = int(line.split(maxsplit=1)[0]), [float(value) for value in line.split()[1:]]
    except ValueError as error:
        raise BlemishError(f"{place} must hold numbers. Received: '{line}'. Correct the line.") from error
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise BlemishError(
            f"{place} must hold 'class cx cy w h' or a polygon. Received: '{line}'. Correct the line."
        )
    if not 0 <= number < len(names):
        raise BlemishError(
            f"{place} must name a known class (0 to {len(names) - 1}). Received: {number}. "
            "Correct the line or add the class name."
        )
    height, width = size
    if len(values) == 4:
        cx, cy, w, h = values
        box = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
        return Annotation(names[number], box)
    corners = zip(values[::2], values[1::2], strict=True)
    return Annotation(names[number], polygons=(tuple((x * width, y * height) for x, y in corners),))
