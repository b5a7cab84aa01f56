"""The Real-IAD layout: one JSON file a category lists images, kinds of anomalies and masks.

Source: Wang et al. 2024, "Real-IAD: A Real-World Multi-View Dataset". The five views of a part form a group.
With several categories each is a product, its classes "category-kind". Lists for other tasks (few shots,
noisy training) lie in folders of their own; the folder that sorts first is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.dataset.account import remark
from blemish.dataset.layouts.common import SPLIT_OF_FOLDER, Contents, Source, Tree, collect, parent
from blemish.dataset.mask_files import MaskFacts, mask_facts
from blemish.dataset.mask_sets.mask_set import MaskReadings
from blemish.dataset.mask_sets.read import read_masks
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError
from blemish.untrusted import read_json

OTHER_LISTS = "lists of Real-IAD for other tasks are not read"
HEAD_BYTES = 4096


@dataclass(frozen=True)
class ListedImage:
    """An image of a list. kind: of anomaly, None for a clean image"""

    category: str
    split: str
    image: str
    mask: str | None
    kind: str | None


def detect(tree: Tree) -> str | None:
    """A JSON file has Real-IAD's normal_class and image_path."""
    lists = find_lists(tree)
    if not lists:
        return None
    several = f"; each of {len(lists)} categories is a product" if len(lists) > 1 else ""
    return f"{lists[0]} lists images of Real-IAD with their masks{several}"


def find_lists(tree: Tree) -> list[str]:
    """The lists of the first folder that holds some."""
    found = [file for file in tree.files if file.lower().endswith(".json") and looks_like_list(tree, file)]
    return [file for file in found if parent(file) == parent(found[0])]


def looks_like_list(tree: Tree, file: str) -> bool:
    path = tree.root / file
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return b'"normal_class"' in stream.read(HEAD_BYTES)


def read(source: Source) -> Contents:
    lists = find_lists(source.tree)
    entries = [entry for file in lists for entry in read_list(source, file)]
    refuse_twice(source, entries)
    found, skipped = collect(
        entries,
        lambda entry: (entry, facts_of(source, entry)),
        name=lambda e: e.image,
        skip=source.skip_broken,
    )
    readings = read_masks([f for _, f in found if f], source.settings, source.root, one_class=True)
    several = len(lists) > 1
    samples, contrary = collect(
        found,
        lambda item: sample_of(source, *item, readings, prefixed=several),
        name=lambda item: item[0].image,
        skip=source.skip_broken,
    )
    names = {annotation.label for sample in samples for annotation in sample.annotations}
    others = [
        f
        for f in source.tree.files
        if f.endswith(".json") and f not in lists and looks_like_list(source.tree, f)
    ]
    return Contents(
        tuple(samples),
        tuple(sorted(names)),
        {**skipped, **contrary},
        read=frozenset({*lists, *(entry.mask for entry in entries if entry.mask)}),
        left_out=dict.fromkeys(others, OTHER_LISTS),
        warnings=(*readings.warnings, *without_mask(entries)),
    )


def without_mask(entries: Sequence[ListedImage]) -> list[str]:
    """Line on listed anomalies without a mask."""
    images = [entry.image for entry in entries if entry.kind is not None and entry.mask is None]
    text = "listed as an anomaly without a mask: its place is not known"
    return [remark(images, "image", text)] if images else []


def read_list(source: Source, file: str) -> list[ListedImage]:
    """Entries of a category. Raises BlemishError for another structure, or a path without a file."""
    place = source.root / file
    content = read_json(place)
    meta = content.get("meta") if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping) or not all(
        isinstance(meta.get(k), str) for k in ("normal_class", "prefix")
    ):
        raise BlemishError(
            f"{place} must have 'meta' with normal_class and prefix. Received: none. Correct it."
        )
    found = []
    for part, rows in content.items():
        if part == "meta":
            continue
        if part not in SPLIT_OF_FOLDER or not isinstance(rows, list):
            raise BlemishError(
                f"{place} must hold lists train and test. Received: '{part}'. Correct or remove the file."
            )
        found += [
            entry_of(source, f"{place}: {part} entry {i}", part, row, meta) for i, row in enumerate(rows)
        ]
    if all(entry.kind is not None for entry in found):
        raise BlemishError(
            f"{place} must list images of its normal_class. Received: none of '{meta['normal_class']}'. "
            "Correct the name or the list."
        )
    return found


def entry_of(source: Source, place: str, part: str, row: Any, meta: Mapping[str, str]) -> ListedImage:
    texts = ("category", "anomaly_class", "image_path")
    if not isinstance(row, Mapping) or not all(isinstance(row.get(k), str) and row[k] for k in texts):
        raise BlemishError(
            f"{place} must have {', '.join(texts)}. Received: {str(row)[:80]}. Correct the entry."
        )
    mask, kind = row.get("mask_path"), row["anomaly_class"]
    clean = kind == meta["normal_class"]
    if mask is not None and not isinstance(mask, str):
        raise BlemishError(
            f"{place}: mask_path must be a path or null. Received: {mask!r}. Correct the entry."
        )
    find = PathFinder(source, place, meta["prefix"])
    return ListedImage(
        row["category"],
        SPLIT_OF_FOLDER[part],
        find.path(row["image_path"]),
        find.path(mask) if mask else None,
        None if clean else kind,
    )


@dataclass(frozen=True)
class PathFinder:
    """Paths of a list, below `<folder>/<prefix>` where the folder is that of any size of the images."""

    source: Source
    place: str
    prefix: str

    def path(self, text: str) -> str:
        """The file whose path ends as the list says. Raises BlemishError for none and for several."""
        wanted = f"{self.prefix.strip('/')}/{text.replace(chr(92), '/').removeprefix('./')}"
        name = wanted.rpartition("/")[2]
        found = [f for f in self.source.tree.by_name.get(name, ()) if f"/{f}".endswith(f"/{wanted}")]
        if len(found) != 1:
            what = f"{found[0]} and {found[1]}" if found else "no such file"
            raise BlemishError(
                f"{self.place} must name one file that is there. Received: '{wanted}', {what}. Correct the "
                "list or the files."
            )
        return found[0]


def refuse_twice(source: Source, entries: list[ListedImage]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.image in seen:
            raise BlemishError(
                f"{source.root / entry.image} must be listed once. Received: two entries. Remove one."
            )
        seen.add(entry.image)


def facts_of(source: Source, entry: ListedImage) -> MaskFacts | None:
    return mask_facts(source.root / entry.mask) if entry.mask else None


def sample_of(
    source: Source, entry: ListedImage, facts: MaskFacts | None, readings: MaskReadings, *, prefixed: bool
) -> Sample:
    marks = readings.of(facts.path) if facts else ()
    if entry.kind is None and marks:
        raise BlemishError(
            f"{marks[0].mask.path} must be empty, as its list says that the image is clean. Received: marked "
            "pixels. Correct the mask or the list."
        )
    annotations: tuple[Annotation, ...] = ()
    if entry.kind is not None:
        label = f"{entry.category}-{entry.kind}" if prefixed else entry.kind
        annotations = tuple(Annotation(label, mask=mark.mask) for mark in marks) or (Annotation(label),)
    return Sample(
        source.root / entry.image,
        entry.image,
        annotations,
        group=parent(entry.image),
        split=entry.split,
        product=entry.category if prefixed else None,
    )
