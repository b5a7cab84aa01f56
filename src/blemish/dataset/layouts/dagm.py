"""The DAGM2007 layout: one folder a class, `Train` and `Test` in it, masks `Label/<stem>_label.PNG`.

Source: the DAGM 2007 competition, "Weakly supervised learning for industrial optical inspection". Its list
`Labels.txt` says which images are defective. Copies without Train and Test or with `true_masks` are read too.
With several classes in a folder every class is a product.
"""

from __future__ import annotations

from dataclasses import replace

from blemish.dataset.layouts.common import (
    SPLIT_OF_FOLDER,
    Contents,
    Source,
    Tree,
    collect,
    parent,
    split_of_path,
    stem,
)
from blemish.dataset.layouts.labels import without_place
from blemish.dataset.layouts.mask_index import MaskIndex, find_masks, image_facts
from blemish.dataset.mask_files import MaskFacts
from blemish.dataset.mask_sets.mask_set import MaskReadings
from blemish.dataset.mask_sets.read import read_masks
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError
from blemish.untrusted import read_text

LABEL_FOLDERS = ("label", "true_masks")
LIST_NAME = "Labels.txt"


def detect(tree: Tree) -> str | None:
    """Image folders have a folder Label or true_masks of files <stem>_label."""
    folders = find_folders(tree)
    if not folders:
        return None
    several = len({class_name("", folder) for folder in folders})
    products = f"; each of {several} classes is a product" if several > 1 else ""
    return f"{next(iter(folders.values()))} holds masks named <image>_label of the images beside it{products}"


def read(source: Source) -> Contents:
    folders = find_folders(source.tree)
    index = find_masks(source.tree)
    index.refuse_doubtful(source)
    if any(LIST_NAME not in source.tree.folders[labels] for labels in folders.values()):
        index.refuse_orphans(source)
    marked = {folder: defective_images(source, index, folder, labels) for folder, labels in folders.items()}
    images = [
        file for folder in folders for file in source.tree.images_in(folder) if file in index.photograph_set
    ]
    found, skipped = collect(
        images,
        lambda file: (file, read_facts(source, index, file, marked[parent(file)])),
        name=str,
        skip=source.skip_broken,
    )
    readings = read_masks(
        [fact for _, facts in found for fact in facts], source.settings, source.root, one_class=True
    )
    samples, contrary = collect(
        found,
        lambda item: sample_of(source, *item, readings, marked[parent(item[0])]),
        name=lambda item: item[0],
        skip=source.skip_broken,
    )
    names = {class_name(source.root.name, folder) for folder in folders}
    if len(names) > 1:
        samples = [replace(s, product=class_name(source.root.name, parent(s.id))) for s in samples]
    lists = (f"{labels}/{LIST_NAME}" for labels in folders.values())
    masks = (mask for masks in index.masks_of.values() for mask in masks)
    return Contents(
        tuple(samples),
        tuple(sorted(names)),
        {**skipped, **contrary},
        read=frozenset({*lists, *masks}),
        left_out=index.left_out,
        warnings=(*readings.warnings, *without_place(samples, index)),
    )


def find_folders(tree: Tree) -> dict[str, str]:
    """Image folder → its folder of masks, which may hold only the list when no image is defective."""
    found = {}
    for folder, names in tree.folders.items():
        named = folder.rpartition("/")[2].lower() in LABEL_FOLDERS
        labels = any(stem(name).lower().endswith("_label") or name == LIST_NAME for name in names)
        if named and labels and tree.images_in(parent(folder)):
            found[parent(folder)] = folder
    return found


def defective_images(
    source: Source, index: MaskIndex, folder: str, labels: str
) -> dict[str, tuple[str, ...]]:
    """Image → masks of each defective image, from Labels.txt where there is one, else from the masks present.

    Raises BlemishError for a line of the list that names no image, or one again, and for an image that has
    none.
    """
    images = [file for file in source.tree.images_in(folder) if file in index.photograph_set]
    if LIST_NAME not in source.tree.folders[labels]:
        return {file: index.of(file) for file in images if index.of(file)}
    by_stem = {stem(file): file for file in images}
    lines = read_text(source.root / labels / LIST_NAME).splitlines()[1:]
    found = {}
    for parts in (line.split() for line in lines if line.strip()):
        if len(parts) < 2 or parts[1] not in ("0", "1") or parts[0] not in by_stem:
            raise BlemishError(
                f"{source.root / labels / LIST_NAME} must hold lines 'stem 0' or 'stem 1' of images that are "
                f"there. Received: '{' '.join(parts)}'. Correct the line."
            )
        image = by_stem.pop(parts[0])
        if parts[1] == "1":
            found[image] = index.of(image)
    for image in by_stem.values():
        raise BlemishError(
            f"{source.root / labels / LIST_NAME} must list every image. Received: no line on {image}. Add it."
        )
    return found


def read_facts(
    source: Source, index: MaskIndex, file: str, marked: dict[str, tuple[str, ...]]
) -> tuple[MaskFacts, ...]:
    """Facts on the masks of an image. Raises BlemishError for a defective one without."""
    if file in marked and not marked[file]:
        raise BlemishError(
            f"{source.root / file} must have a mask, {LIST_NAME} says it is defective. "
            f"Received: no {stem(file)}_label file. Add the mask or correct the list."
        )
    return image_facts(source, file, index.of(file))


def sample_of(
    source: Source,
    file: str,
    facts: tuple[MaskFacts, ...],
    readings: MaskReadings,
    marked: dict[str, tuple[str, ...]],
) -> Sample:
    sample = Sample(source.root / file, file, split=split_of_path(file))
    label = class_name(source.root.name, parent(file))
    masks = tuple(Annotation(label, mask=mark.mask) for fact in facts for mark in readings.of(fact.path))
    if file in marked:
        return replace(sample, annotations=masks or (Annotation(label),))
    if masks:
        raise BlemishError(
            f"{facts[0].path} must be empty, as {LIST_NAME} says that its image is clean. Received: marked "
            "pixels. Correct the mask or the list."
        )
    return sample


def class_name(root_name: str, folder: str) -> str:
    """The nearest folder that is not Train or Test; the root's own name when there is none."""
    parts = [part for part in folder.split("/") if part and part.lower() not in SPLIT_OF_FOLDER]
    return parts[-1] if parts else root_name
