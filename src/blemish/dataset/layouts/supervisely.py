"""The Supervisely layout: `DATASET/img/NAME` and `DATASET/ann/NAME.json`, and the classes in `meta.json`.

An outline with holes and a bitmap become run lengths of the image.
Source: https://docs.supervisely.com/data-organization/00_ann_format_navi.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree, parent, split_of_path
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import declared_size, listed, pairs_of, record, refusal, text_of
from blemish.dataset.layouts.label_names import says_state
from blemish.dataset.layouts.shapes import CannotHoldError, placed, rectangle, rings, unpacked_bitmap
from blemish.dataset.layouts.tools import tool_of, written_by
from blemish.dataset.samples import Annotation
from blemish.untrusted import read_json


def detect(tree: Tree) -> str | None:
    """Folders img/ and ann/ of Supervisely, with a JSON file an image."""
    file = written_by(tree, "supervisely")
    return f"{file} is a JSON file of Supervisely" if file else None


def read(source: Source) -> Contents:
    files = [file for file in source.tree.files if is_label_file(source.tree, file)]
    metas = [file for file in source.tree.files if f"/{file}".endswith("/meta.json")]
    names = [name for file in metas for name in classes_in(source, file)]
    contents = read_entries(
        source,
        files,
        lambda file: [entry_in(source, file)],
        to_annotation,
        class_names=lambda: names,
    )
    return replace(contents, read=contents.read | {*metas})


def is_label_file(tree: Tree, file: str) -> bool:
    if not file.lower().endswith(".json"):
        return False
    return parent(file).rpartition("/")[2] == "ann" or tool_of(tree, file) == "supervisely"


def classes_in(source: Source, file: str) -> list[str]:
    """Names of meta.json, in their order."""
    place = str(source.root / file)
    classes = listed(record(read_json(source.root / file), place).get("classes"), f"{place}: classes")
    return [text_of(record(one, place).get("title"), f"{place}: title") for one in classes]


def entry_in(source: Source, file: str) -> DescribedImage:
    place = str(source.root / file)
    content = record(read_json(source.root / file), place)
    size = record(content.get("size"), f"{place}: size")
    tags = [
        text_of(record(tag, place).get("name"), f"{place}: tag")
        for tag in listed(content.get("tags") or [], f"{place}: tags")
    ]
    known = [tag for tag in tags if says_state(tag, source.settings)]
    folder, name = parent(file), file.rpartition("/")[2].removesuffix(".json")
    beside = f"{folder.removesuffix('ann')}img/{name}"
    return DescribedImage(
        file,
        beside if beside in source.tree.image_set else name,
        tuple(listed(content.get("objects"), f"{place}: objects")),
        tuple(known),
        declared_size(size.get("height"), size.get("width"), place),
        split_of_path(file),
        doubts=tuple(f"its tag '{tag}' is not read" for tag in tags if tag not in known),
    )


def to_annotation(shape: Any, place: str, size: Size) -> Annotation:
    item = record(shape, place)
    label = text_of(item.get("classTitle"), f"{place}: classTitle")
    kind = item.get("geometryType")
    if kind in ("bitmap", "alpha_mask"):
        bitmap = record(item.get("bitmap"), f"{place}: bitmap")
        origin = pairs_of([bitmap.get("origin")], f"{place}: origin")[0]
        data = text_of(bitmap.get("data"), f"{place}: data")
        return placed(label, unpacked_bitmap(data, place, compressed=True), origin, size)
    if kind not in ("polygon", "rectangle"):
        raise CannotHoldError(f"a shape of type '{kind}' has no area")
    outline: Mapping[str, Any] = record(item.get("points"), f"{place}: points")
    outer = pairs_of(outline.get("exterior"), f"{place}: exterior")
    holes = [
        pairs_of(hole, f"{place}: interior")
        for hole in listed(outline.get("interior") or [], f"{place}: interior")
    ]
    if kind == "polygon":
        return rings(label, [outer, *holes], size)
    if len(outer) != 2:
        raise refusal(f"{place}: rectangle", "have two corners", outer)
    return rectangle(label, outer[0], outer[1])
