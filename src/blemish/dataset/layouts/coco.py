"""The `coco` layout, the interchange format: annotation files in JSON that name images, classes and places.

Beyond COCO's keys these are read and written, so that nothing is lost: `contrast`, `difficult` and
`source_id` of an annotation; `group`, `product`, `reference` and `labels` (labels without a place) of an
image. Other tools ignore them.
Source: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.dataset.layouts.coco_classes import class_names_of, class_table
from blemish.dataset.layouts.coco_files import (
    CocoEntry,
    CocoFile,
    annotation_files,
    find_files,
    number_of,
    result_lists,
    text_of,
)
from blemish.dataset.layouts.coco_images import Faults, Picture, joined, pictures_of
from blemish.dataset.layouts.coco_marks import coordinate, is_crowd, read_mark
from blemish.dataset.layouts.common import (
    Contents,
    Reading,
    Remark,
    Source,
    Tree,
    collect,
    grouped,
    refuse_other_declared_size,
    remark_lines,
    split_of_path,
)
from blemish.dataset.layouts.entries import alike_names
from blemish.dataset.layouts.tools import tool_of
from blemish.dataset.layouts.unlabelled import with_unlabelled
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError
from blemish.untrusted import inside

CORNERS = "its boxes fit their images as corners [x1, y1, x2, y2] alone, and are read as [x, y, w, h]"
SAME_ID = "they are given to several annotations, each of which is read"
ALL_CROWD = "all have 'iscrowd' 1, as some tools write for every mask, and are read as single defects"


def detect(tree: Tree) -> str | None:
    """A JSON file has the lists of a COCO annotation file."""
    file = next((file for file in find_files(tree) if tool_of(tree, file) is None), None)
    return f"{file} is a COCO annotation file" if file else None


def read(source: Source) -> Contents:
    every, broken = annotation_files(source)
    faults = Faults(source.skip_broken, skipped=broken)
    files, left_out = truths(every)
    tables = [class_table(file) for file in files]
    remarks = [remark for table in tables for remark in table.remarks]
    crowds, lines = crowd_rule(files)
    remarks += [*corner_remarks(files), *repeated_ids(files)]
    pictures = [
        picture
        for file, table in zip(files, tables, strict=True)
        for picture in pictures_of(source, file, table.names, faults)
    ]
    merged = [one for group in grouped(pictures, Picture.by_path).values() for one in joined(group, faults)]
    readings, skipped = collect(
        merged,
        lambda picture: read_picture(source, picture, crowds=crowds),
        name=lambda picture: picture.path,
        skip=source.skip_broken,
    )
    remarks += [remark for picture in merged for remark in picture.remarks]
    remarks += [remark for reading in readings for remark in reading.remarks]
    names, unused = class_names_of(tables)
    contents = Contents(
        samples=tuple(reading.sample for reading in readings),
        class_names=names,
        skipped={**faults.skipped, **skipped},
        read=frozenset(file.name for file in files if file.path.is_relative_to(source.root)),
        left_out={**result_lists(source.tree), **left_out},
        dropped=faults.dropped,
        warnings=(*lines, *unused, *alike_names(names), *remark_lines(remarks)),
    )
    if source.settings.unlabelled is None:
        return contents  # what no file lists is left out by name
    return with_unlabelled(contents, source, {picture.path for picture in pictures}, default="leave-out")


def truths(files: Sequence[CocoFile]) -> tuple[list[CocoFile], dict[str, str]]:
    """Files to be read, and those that are no truth with the reason; without any other, all are read."""
    sure = [file for file in files if not file.doubt or not file.own_split]
    if not sure:
        return list(files), {}
    return sure, {file.name: file.doubt for file in files if file not in sure}


def crowd_rule(files: Sequence[CocoFile]) -> tuple[bool, tuple[str, ...]]:
    """True where `iscrowd` is to be read, and a warning where it means nothing or files hold results."""
    marks = [(file, mark) for file in files for mark in file.section("annotations")]
    warnings = [f"{file.name}: {file.doubt}. Check that it is the truth." for file in files if file.doubt]
    try:
        crowd = bool(marks) and all(is_crowd(mark) for _, mark in marks)
    except (TypeError, ValueError):
        crowd = False  # the annotation is refused where it is read
    if crowd:
        places = [Remark("annotation", f"{f.name}: {m.get('id', '')}", ALL_CROWD) for f, m in marks]
        warnings += remark_lines(places)
    return not crowd, tuple(warnings)


def corner_remarks(files: Sequence[CocoFile]) -> list[Remark]:
    """Remarks on the files whose boxes all fit their images as corners, but not as COCO's [x, y, w, h]."""
    remarks = []
    for file in files:
        images, marks = file.section("images"), file.section("annotations")
        sizes = {str(image["id"]): (image.get("width"), image.get("height")) for image in images}
        boxes = [(mark.get("bbox"), sizes.get(str(mark["image_id"]))) for mark in marks]
        try:
            fits = [box_reading(box, size) for box, size in boxes if box and size and all(size)]
        except (TypeError, ValueError):
            continue  # refused where it is read
        if fits and all(corners for corners, _ in fits) and not all(plain for _, plain in fits):
            remarks.append(Remark("file", file.name, CORNERS))
    return remarks


def repeated_ids(files: Sequence[CocoFile]) -> list[Remark]:
    """Remarks on the ids that several annotations of a file have."""
    remarks = []
    for file in files:
        ids = grouped((str(mark["id"]) for mark in file.section("annotations") if "id" in mark), str)
        again = (f"{file.name}: {number}, {len(same)} times" for number, same in ids.items() if len(same) > 1)
        remarks += [Remark("annotation id", place, SAME_ID) for place in again]
    return remarks


def box_reading(box: Any, size: tuple[Any, Any]) -> tuple[bool, bool]:
    """Two answers: are four numbers corners within an image, and are they a box [x, y, w, h] within it?"""
    (a, b, c, d), (width, height) = map(coordinate, box), map(coordinate, size)
    return a < c <= width and b < d <= height, a + c <= width + 1 and b + d <= height + 1


def read_picture(source: Source, picture: Picture, *, crowds: bool) -> Reading:
    file, path = picture.file, picture.path
    place = f"{file.path}: image '{picture.called}'"
    for entry in picture.entries:
        refuse_other_declared_size(source.root / path, entry.get("width"), entry.get("height"), place)
    marks, remarks = [], []
    for entry in picture.marks:
        mark_place = f"annotation {entry.get('id', '')} of {picture.called}"
        label = class_of(entry, picture.names, f"{file.path}: {mark_place}")
        mark, doubt = read_mark(entry, label, f"{file.path}: {mark_place}", crowds=crowds)
        marks.append(mark)
        remarks += [Remark("annotation", f"{file.name}: {mark_place}", doubt)] if doubt else []
    labels = [Annotation(text_of(label, f"{place}: label")) for label in labels_of(picture, place)]
    reference = next((e["reference"] for e in picture.entries if e.get("reference") is not None), None)
    sample = Sample(
        source.root / path,
        path,
        (*marks, *labels),
        group=value_of(picture.entries, "group", place),
        split=file.split or split_of_path(path),
        reference=None if reference is None else inside(source.root, reference, f"{place}: reference"),
        product=value_of(picture.entries, "product", place),
    )
    return Reading(sample, tuple(remarks))


def class_of(mark: CocoEntry, names: Mapping[int | str, str], place: str) -> str:
    number = number_of(mark["category_id"], f"{place}: category_id")
    if number not in names:
        known = ", ".join(f"{number} {name}" for number, name in names.items()) or "the file has none"
        raise BlemishError(
            f"{place} must have a known category ({known}). Received: {mark['category_id']}. Correct it."
        )
    return names[number]


def labels_of(picture: Picture, place: str) -> list[Any]:
    """Labels without a place of all entries of an image."""
    labels: list[Any] = []
    for entry in picture.entries:
        found = entry.get("labels") or []
        if not isinstance(found, list):
            raise BlemishError(
                f"{place}: 'labels' must be a list. Received: {found!r:.40}. Correct the file."
            )
        labels += found
    return labels


def value_of(entries: Iterable[CocoEntry], key: str, place: str) -> str | None:
    """Text of a key, which no two entries of an image may give differently."""
    given = (entry[key] for entry in entries if entry.get(key) is not None)
    values = list(dict.fromkeys(text_of(value, f"{place}: '{key}'") for value in given))
    if len(values) > 1:
        raise BlemishError(
            f"{place} must have one '{key}'. Received: {' and '.join(values)}. Correct the file."
        )
    return values[0] if values else None


@dataclass(frozen=True)
class CocoNumbers:
    """Numbers that annotation files give images and classes, each as a number and as its text.

    images: number → ids of samples, several where files count alike; classes: number → names
    """

    images: Mapping[Any, tuple[str, ...]]
    classes: Mapping[Any, tuple[str, ...]]


def numbers_of(source: Source) -> CocoNumbers:
    """Collect the numbers of images and classes from all annotation files of a source."""
    images: dict[Any, dict[str, None]] = {}
    classes: dict[Any, dict[str, None]] = {}
    for file in truths(annotation_files(source)[0])[0]:
        table = class_table(file)
        for number, name in table.names.items():
            add(classes, number, name)
        for picture in pictures_of(source, file, table.names, Faults(skip=True)):
            add(images, number_of(picture.entries[0]["id"], f"{file.path}: image id"), picture.path)
    return CocoNumbers({k: tuple(v) for k, v in images.items()}, {k: tuple(v) for k, v in classes.items()})


def add(numbers: dict[Any, dict[str, None]], number: int | str, name: str) -> None:
    for key in (number, str(number)):
        numbers.setdefault(key, {})[name] = None
