"""The Pascal VOC layout: one XML file an image, with named boxes; splits in `ImageSets/Main/*.txt`.

VOC corners count pixels from 1 and are inclusive: our half-open box is (xmin − 1, ymin − 1, xmax, ymax).
Source: Everingham et al. 2010, the PASCAL VOC development kit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from blemish.arrays import Box
from blemish.dataset.layouts.common import (
    SPLIT_OF_FOLDER,
    Contents,
    Source,
    Tree,
    collect,
    image_named,
    parent,
    split_of_path,
    stem,
)
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError
from blemish.untrusted import read_text, regular_file

IMAGE_SETS = "ImageSets/Main"


def detect(tree: Tree) -> str | None:
    """There are XML files whose first element is <annotation>."""
    file = next((file for file in tree.files if file.lower().endswith(".xml")), None)
    if file is None or not re.search(rb"<annotation[\s>]", head(tree, file)):
        return None
    return f"{file} is a Pascal VOC annotation"


def read(source: Source) -> Contents:
    files = [file for file in source.tree.files if file.lower().endswith(".xml")]
    splits = image_sets(source)
    samples, skipped = collect(
        files, lambda file: read_sample(source, file, splits), name=str, skip=source.skip_broken
    )
    skipped |= without_annotation(source, samples, files)
    labels = {annotation.label for sample in samples for annotation in sample.annotations}
    lists = (file for file in source.tree.files if f"/{IMAGE_SETS}/" in f"/{file}")
    return Contents(tuple(samples), tuple(sorted(labels)), skipped, read=frozenset({*files, *lists}))


def head(tree: Tree, file: str) -> bytes:
    with regular_file(tree.root / file).open("rb") as stream:
        return stream.read(1000)


def image_sets(source: Source) -> dict[str, str]:
    """Stem → split, from the lists of ImageSets/Main; 'trainval' gives way to 'train' and 'val'."""
    splits: dict[str, str] = {}
    for name in ("trainval", "train", "val", "test"):
        for file in source.tree.files:
            if f"/{file}".endswith(f"/{IMAGE_SETS}/{name}.txt"):
                for line in read_text(source.root / file).split("\n"):
                    splits |= dict.fromkeys(line.split()[:1], SPLIT_OF_FOLDER[name])
    return splits


def read_sample(source: Source, file: str, splits: Mapping[str, str]) -> Sample:
    root = parsed(source, file)
    named = (root.findtext("filename") or "").strip()
    # The image of the XML file's own name; where there is none, the image that it names inside.
    own = stem(file) in source.tree.by_stem or not named
    image = image_named(source.tree, stem(file) if own else named, near=file)
    objects = enumerate(root.iter("object"), start=1)
    marked = tuple(read_object(item, f"{source.root / file} object {number}") for number, item in objects)
    split = splits.get(stem(file)) or split_of_path(image)
    return Sample(source.root / image, image, marked, split=split)


def parsed(source: Source, file: str) -> ElementTree.Element:
    """Root element of a file. The parser loads no external entities; bombs of internal ones are refused."""
    content = (source.root / file).read_bytes()
    try:
        if b"<!ENTITY" in content:
            raise ValueError("entity declarations")
        root = ElementTree.fromstring(content)
        if root.tag != "annotation":
            raise ValueError(f"<{root.tag}>")
    except (ElementTree.ParseError, ValueError) as error:
        raise BlemishError(
            f"{source.root / file} must be a Pascal VOC annotation. Received: {error}. Replace or remove it."
        ) from error
    return root


def read_object(item: ElementTree.Element, place: str) -> Annotation:
    label, box = (item.findtext("name") or "").strip(), item.find("bndbox")
    if not label or box is None:
        raise BlemishError(
            f"{place} must have a name and a bndbox. Received: one without both. Correct the file."
        )
    return Annotation(label, read_box(box, place))


def read_box(box: ElementTree.Element, place: str) -> Box:
    try:
        left, top, right, bottom = (float(box.findtext(n) or "") for n in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError as error:
        raise BlemishError(
            f"{place} must have numbers xmin, ymin, xmax, ymax. Received: {error}. Correct the file."
        ) from error
    return left - 1, top - 1, right, bottom


def without_annotation(source: Source, samples: list[Sample], files: list[str]) -> dict[str, str]:
    """Images beside annotated ones that no XML file describes, as they are neither clean nor defective."""
    known = {sample.id for sample in samples}
    folders = {parent(file) for file in known}
    described = {stem(file) for file in files}
    missing = [
        file
        for folder in sorted(folders)
        for file in source.tree.images_in(folder)
        if file not in known and stem(file) not in described
    ]
    reason = "must have an XML file (without objects when clean). Received: none. Add it or remove the image."
    if missing and not source.skip_broken:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BlemishError(f"{source.root / missing[0]}{more} {reason}")
    return {file: f"{source.root / file} {reason}" for file in missing}
