"""The `coco` layout, the interchange format: boxes [x, y, w, h], polygons, run lengths plain or compressed.

Beyond COCO's keys these are read and written, so that nothing is lost: `contrast` and `source_id` of an
annotation; `group`, `product`, `reference` and `labels` (labels without a place) of an image. Other tools
ignore them.
Source: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blemish.arrays import Box
from blemish.dataset.layouts.common import (
    SPLIT_OF_FOLDER,
    Contents,
    Source,
    Tree,
    collect,
    image_named,
    split_of_path,
)
from blemish.dataset.layouts.tools import tool_of
from blemish.dataset.run_lengths import unpack
from blemish.dataset.samples import Annotation, Polygon, RunLengths, Sample
from blemish.errors import BlemishError
from blemish.untrusted import regular_file

CocoEntry = Mapping[str, Any]  # an image, annotation or category of a file
PEEK_BYTES = 4096
SECTION_KEYS = {
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id"),
    "images": ("id", "file_name"),
}


def detect(tree: Tree) -> str | None:
    """A JSON file begins like a COCO annotation file."""
    file = next(iter(find_files(tree)), None)
    return f"{file} is a COCO annotation file" if file else None


def read(source: Source) -> Contents:
    samples: list[Sample] = []
    skipped: dict[str, str] = {}
    class_names: dict[str, None] = {}
    files = annotation_files(source)
    for file, split in files:
        found = read_file(source, file, split)
        samples += found.samples
        skipped |= found.skipped
        class_names |= dict.fromkeys(found.class_names)
    read = (file for file, _ in files if file.is_relative_to(source.root))
    names = frozenset(file.relative_to(source.root).as_posix() for file in read)
    return Contents(tuple(samples), tuple(class_names), skipped, read=names)


@dataclass(frozen=True)
class CocoNumbers:
    """Numbers that annotation files give images and classes.

    images: number → ids of samples, several where files count alike; classes: number → names
    """

    images: Mapping[Any, tuple[str, ...]]
    classes: Mapping[Any, tuple[str, ...]]


def numbers_of(source: Source) -> CocoNumbers:
    """Collect the numbers of images and classes from all annotation files of a source."""
    images: dict[Any, list[str]] = {}
    classes: dict[Any, list[str]] = {}
    for file, _ in annotation_files(source):
        content, near = parsed(file), relative_folder(source, file)
        for image in section(content, "images", file):
            name = image_named(source.tree, str(image["file_name"]), near=near)
            images.setdefault(image["id"], []).append(name)
        for entry in section(content, "categories", file):
            classes.setdefault(entry["id"], []).append(str(entry["name"]))
    known = ({key: tuple(dict.fromkeys(v)) for key, v in each.items()} for each in (images, classes))
    return CocoNumbers(*known)


def find_files(tree: Tree) -> list[str]:
    return [
        file
        for file in tree.files
        if file.lower().endswith(".json")
        and begins_like_coco(tree.root / file)
        and tool_of(tree, file) is None  # of another tool, whose file has some of the keys too
    ]


def begins_like_coco(path: Path) -> bool:
    """Tell a COCO file by its first bytes: it may be hundreds of megabytes."""
    with regular_file(path).open("rb") as stream:
        start = stream.read(PEEK_BYTES)
    keys = (b'"images"', b'"annotations"', b'"categories"', b'"file_name"', b'"licenses"')
    return start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(key in start for key in keys)


def annotation_files(source: Source) -> list[tuple[Path, str | None]]:
    """Annotation files with their splits: those that dataset.yaml names, else those found."""
    named = source.settings.annotations
    if isinstance(named, str):
        return [(source.home / named, None)]
    if named is not None:
        return [(source.home / file, split) for split, file in named.items()]
    return [(source.root / file, split_of_file(file)) for file in find_files(source.tree)]


def split_of_file(file: str) -> str | None:
    """Split in a file's name, such as 'annotations/instances_val2017.json' → 'val', else its folder's."""
    words = Path(file).stem.lower().replace("-", "_").split("_")
    return next((SPLIT_OF_FOLDER[word] for word in words if word in SPLIT_OF_FOLDER), split_of_path(file))


def read_file(source: Source, file: Path, split: str | None) -> Contents:
    content = parsed(file)
    names = {entry["id"]: str(entry["name"]) for entry in section(content, "categories", file)}
    marks: dict[Any, list[CocoEntry]] = {}
    for entry in section(content, "annotations", file):
        marks.setdefault(entry["image_id"], []).append(entry)
    near = relative_folder(source, file)
    samples, skipped = collect(
        section(content, "images", file),
        lambda image: read_sample(source, image, marks.get(image["id"], []), names, (file, near, split)),
        name=lambda image: str(image["file_name"]),
        skip=source.skip_broken,
    )
    refuse_strangers(marks, section(content, "images", file), file)
    return Contents(tuple(samples), tuple(names.values()), skipped)


def parsed(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BlemishError(
            f"{file} must be a JSON file. Received: {reason}. Replace or remove it."
        ) from error
    if not isinstance(content, dict):
        raise BlemishError(
            f"{file} must be a COCO file. Received: JSON that is no object. Replace or remove it."
        )
    return content


def section(content: dict[str, Any], name: str, file: Path) -> list[dict[str, Any]]:
    """The list `name` of a file. Raises BlemishError where it is missing or an entry lacks a key."""
    entries = content.get(name)
    if not isinstance(entries, list):
        raise BlemishError(f"{file} must have a list '{name}'. Received: none. Replace or remove the file.")
    for number, entry in enumerate(entries):
        missing = [key for key in SECTION_KEYS[name] if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise BlemishError(
                f"{file}: {name}[{number}] must have '{missing[0]}'. Received: none. Correct it."
            )
    return entries


def refuse_strangers(marks: Mapping[Any, list[CocoEntry]], images: list[dict[str, Any]], file: Path) -> None:
    strangers = marks.keys() - {image["id"] for image in images}
    if strangers:
        raise BlemishError(
            f"{file} must have an image for every annotation. Received: image_id {min(map(str, strangers))} "
            "without an image. Correct the file."
        )


def relative_folder(source: Source, file: Path) -> str:
    """Folder of an annotation file below the root, with a slash at the end; '' for one elsewhere."""
    folder = file.resolve().parent
    root = source.root.resolve()
    return folder.relative_to(root).as_posix().removeprefix(".") + "/" if folder.is_relative_to(root) else ""


def read_sample(
    source: Source,
    image: CocoEntry,
    marks: list[CocoEntry],
    names: Mapping[Any, str],
    place: tuple[Path, str, str | None],
) -> Sample:
    file, near, split = place
    name = image_named(source.tree, str(image["file_name"]), near=near)
    drawn = (read_annotation(mark, image, names, file) for mark in marks)
    labels = (Annotation(str(label)) for label in image.get("labels", ()))
    reference = image.get("reference")
    return Sample(
        source.root / name,
        name,
        (*drawn, *labels),
        group=image.get("group"),
        split=split or split_of_path(name),
        reference=source.root / reference if reference else None,
        product=image.get("product"),
    )


def read_annotation(mark: CocoEntry, image: CocoEntry, names: Mapping[Any, str], file: Path) -> Annotation:
    place = f"{file}: annotation {mark.get('id', '')} of {image['file_name']}"
    if mark["category_id"] not in names:
        known = ", ".join(f"{number} {name}" for number, name in names.items())
        raise BlemishError(
            f"{place} must have a known category ({known}). Received: {mark['category_id']}. Correct it."
        )
    try:
        polygons, mask = read_segmentation(mark.get("segmentation"), image)
        box = read_box(mark.get("bbox"))
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise BlemishError(
            f"{place} must have a whole bbox and segmentation. Received: {error}. Correct the file."
        ) from error
    identity = str(mark.get("source_id", mark.get("id", "")))
    return Annotation(names[mark["category_id"]], box, polygons, mask, mark.get("contrast"), identity)


def read_box(values: Any) -> Box | None:
    """Box of half-open corners from COCO's [x, y, w, h]; None without one."""
    if not values:
        return None
    x, y, width, height = (float(value) for value in values)
    return x, y, x + width, y + height


def read_segmentation(value: Any, image: CocoEntry) -> tuple[tuple[Polygon, ...], RunLengths | None]:
    """Polygons given as flat lists, or run lengths given as a list or a compressed string."""
    if not value:
        return (), None
    if isinstance(value, dict):
        counts = value["counts"]
        numbers = unpack(counts) if isinstance(counts, str) else tuple(int(count) for count in counts)
        height, width = value["size"]
        return (), RunLengths(numbers, (int(height), int(width)))
    return tuple(read_polygon(flat) for flat in value), None


def read_polygon(flat: list[float]) -> Polygon:
    if len(flat) < 6 or len(flat) % 2:
        raise ValueError(f"a polygon of {len(flat)} numbers")
    return tuple((float(x), float(y)) for x, y in zip(flat[::2], flat[1::2], strict=True))
