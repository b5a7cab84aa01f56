"""The Pascal VOC layout: one XML file an image, with named boxes; splits in `ImageSets/Main/*.txt`.

VOC corners count pixels from 1 and are inclusive: our half-open box is (xmin − 1, ymin − 1, xmax, ymax).
The image of an XML file is the one of its own name; `<filename>` counts where there is none.
Source: Everingham et al. 2010, the PASCAL VOC development kit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from blemish.arrays import Box
from blemish.dataset.layouts.common import (
    Contents,
    Reading,
    Remark,
    Source,
    Tree,
    beginning,
    collect,
    decimal,
    grouped,
    refuse_other_declared_size,
    remark_lines,
    split_of_path,
    stem,
)
from blemish.dataset.layouts.entries import alike_names
from blemish.dataset.layouts.identity import Match
from blemish.dataset.layouts.unlabelled import with_unlabelled
from blemish.dataset.layouts.voc_splits import is_list, list_splits
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError
from blemish.untrusted import read_xml

ROOT = re.compile(rb"<\0?a\0?n\0?n\0?o\0?t\0?a\0?t\0?i\0?o\0?n\0?[\s>/]")  # in UTF-8 or UTF-16
OUTLINES = ("polygon", "segm", "mask", "robndbox")
NOT_VOC = "these XML files have no <annotation> and belong to no image"
AT_ZERO = (
    "they begin at 0, where VOC counts pixels from 1: their tool may count from 0, and then every box is "
    "read a pixel too far to the left and to the top"
)
NO_OUTLINE = "they have an outline beside the box, which is not read"
NO_PARTS = "they have parts with boxes of their own, which are not read"
OTHER_NAME = "they name another image inside than their own name, which counts"


@dataclass(frozen=True)
class VocFile:
    """An XML file and its image. named: the image that it names inside, where that is another one"""

    path: str
    root: ElementTree.Element
    image: str
    doubt: str = ""
    named: str | None = None

    def by_image(self) -> str:
        return self.image


def detect(tree: Tree) -> str | None:
    """There are XML files whose first element is <annotation>."""
    for file in xml_files(tree):
        if ROOT.search(beginning(tree.root / file)):
            return f"{file} is a Pascal VOC annotation"
    return None


def read(source: Source) -> Contents:
    parsed, skipped = collect(
        xml_files(source.tree), lambda file: open_file(source, file), name=str, skip=source.skip_broken
    )
    files = [file for file in parsed if isinstance(file, VocFile)]
    strange = {file: NOT_VOC for file in parsed if isinstance(file, str)}
    files, contradictions = without_contradictions(source, files)
    splits, listed = list_splits(source)
    readings, broken = collect(
        files, lambda file: read_sample(source, file, splits), name=lambda f: f.path, skip=source.skip_broken
    )
    samples = [reading.sample for reading in readings]
    skipped |= contradictions | broken
    remarks = [Remark("XML file", f"{f.path}: {f.named}", OTHER_NAME) for f in files if f.named]
    remarks += [
        Remark("XML file", f"{file.path} for {file.image}", file.doubt) for file in files if file.doubt
    ]
    remarks += [*listed, *(remark for reading in readings for remark in reading.remarks)]
    labels = {annotation.label for sample in samples for annotation in sample.annotations}
    read = {*(file.path for file in files), *(file for file in source.tree.files if is_list(file))}
    contents = Contents(
        tuple(samples),
        tuple(sorted(labels)),
        skipped,
        read=frozenset(read),
        left_out=strange,
        warnings=(*alike_names(sorted(labels)), *remark_lines(remarks)),
    )
    tried = (found(source, stem(file), file) for file in skipped)
    described = {file.image for file in files} | {match.path for match in tried if isinstance(match, Match)}
    return with_unlabelled(contents, source, described, default="error")


def xml_files(tree: Tree) -> list[str]:
    return [file for file in tree.files if file.lower().endswith(".xml")]


def open_file(source: Source, path: str) -> VocFile | str:
    """The file with its image; its path alone where it is no annotation and no image has its name."""
    root = read_xml(source.root / path)
    own = found(source, stem(path), path)
    if root.tag != "annotation":
        if isinstance(own, BlemishError):
            return path
        raise BlemishError(
            f"{source.root / path} must be a Pascal VOC annotation. Received: <{root.tag}>. "
            "Replace or remove it."
        )
    text = (root.findtext("filename") or "").strip()
    named = found(source, text, path) if text else own
    if isinstance(own, Match):
        other = isinstance(named, Match) and named.path != own.path
        return VocFile(
            path, root, own.path, own.doubt, named.path if other and isinstance(named, Match) else None
        )
    if isinstance(named, Match):
        return VocFile(path, root, named.path, named.doubt)
    raise BlemishError(f"{source.root / path}: {named}")


def found(source: Source, name: str, path: str) -> Match | BlemishError:
    """Image that an XML file calls `name`, or why there is none; one of another split is not meant."""
    split = split_of_path(path)
    try:
        return source.tree.names.find(
            name, near=path, fits=lambda image: split is None or split_of_path(image) in (None, split)
        )
    except BlemishError as error:
        return error


def without_contradictions(source: Source, files: Sequence[VocFile]) -> tuple[list[VocFile], dict[str, str]]:
    """Files that describe an image each alone, and those left out, each with the reason.

    Where the names inside would give every file an image of its own too, nobody can tell which are meant.
    """
    faults: dict[str, str] = {}
    for image, same in grouped(files, VocFile.by_image).items():
        if len(same) > 1:
            both = " and ".join(file.path for file in same)
            what = f"{image} must have one XML file. Received: {both}. Remove one of them."
            faults |= {file.path: what for file in same}
    inside = [file.named or file.image for file in files]
    if len(set(inside)) == len(inside):
        for file in files:
            if file.named:
                faults[file.path] = (
                    f"{source.root / file.path} must name its own image. Received: <filename> {file.named}, "
                    f"while {file.image} has its name. Correct or remove the <filename>."
                )
    if faults and not source.skip_broken:
        raise BlemishError(next(iter(faults.values())))
    return [file for file in files if file.path not in faults], faults


def read_sample(source: Source, file: VocFile, splits: Mapping[str, str]) -> Reading:
    image, place = source.root / file.image, str(source.root / file.path)
    width, height = ((file.root.findtext(f"size/{side}") or "").strip() for side in ("width", "height"))
    refuse_other_declared_size(image, width, height, place)
    objects = list(file.root.iter("object"))
    boxes = sum(element.tag.lower() == "bndbox" for element in file.root.iter())
    if boxes != sum(len(item.findall(".//bndbox")) for item in objects):
        raise BlemishError(f"{place} must have its boxes in <object>. Received: others. Correct the file.")
    marks: list[Annotation] = []
    remarks: list[Remark] = []
    for number, item in enumerate(objects, start=1):
        mark, doubts = read_object(item, f"{place} object {number}")
        marks.append(mark)
        remarks += [Remark("object", f"{file.path} object {number}", doubt) for doubt in doubts]
    split = splits.get(file.image) or split_of_path(file.image)
    return Reading(Sample(image, file.image, tuple(marks), split=split), tuple(remarks))


def read_object(item: ElementTree.Element, place: str) -> tuple[Annotation, list[str]]:
    """Annotation of an <object>, and what should be said about it."""
    labels, boxes = item.findall("name"), item.findall("bndbox")
    label = (labels[0].text or "").strip() if len(labels) == 1 else ""
    if not label or len(boxes) != 1:
        names, found = f"{len(labels)} names" if len(labels) > 1 else "no name", f"{len(boxes)} bndbox"
        outline = next((name for name in OUTLINES if item.find(name) is not None), None)
        if outline and not boxes:
            found = f"a {outline} alone, which is not read"
        raise BlemishError(
            f"{place} must have a name and a bndbox, one of each. Received: {label or names}, {found}. "
            "Correct the file."
        )
    box, at_zero = read_box(boxes[0], place)
    difficult = (item.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1", "Unspecified", "False", "True"):
        raise BlemishError(
            f"{place}: <difficult> must be 0 or 1. Received: {difficult:.40}. Correct the file."
        )
    doubts = [AT_ZERO] * at_zero + [NO_OUTLINE] * any(item.find(name) is not None for name in OUTLINES)
    doubts += [NO_PARTS] * (item.find("part") is not None)
    return Annotation(label, box, difficult=difficult in ("1", "True")), doubts


def read_box(box: ElementTree.Element, place: str) -> tuple[Box, bool]:
    """Half-open box of a <bndbox>, and whether it begins at 0. Raises BlemishError for no box."""
    names = ("xmin", "ymin", "xmax", "ymax")
    try:
        left, top, right, bottom = (decimal((box.findtext(name) or "").strip()) for name in names)
        if right < left or bottom < top:
            raise ValueError(f"({left:g}, {top:g}, {right:g}, {bottom:g}), without an area")
    except ValueError as error:
        raise BlemishError(
            f"{place} must have numbers xmin, ymin, xmax, ymax. Received: {error}. Correct the file."
        ) from error
    # What begins at 0 is not moved out of the image.
    first = (max(left - 1, min(left, 0.0)), max(top - 1, min(top, 0.0)))
    return (*first, right, bottom), 0 in (left, top)
