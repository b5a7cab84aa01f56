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
from blemish.dataset.samples import Annotation, MaskFile, Sample
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
    marked = {folder: defective_images(source, folder, labels) for folder, labels in folders.items()}
    images = [file for folder in folders for file in source.tree.images_in(folder)]
    samples, skipped = collect(
        images,
        lambda file: read_sample(source, file, marked[parent(file)]),
        name=str,
        skip=source.skip_broken,
    )
    names = {class_name(source.root.name, folder) for folder in folders}
    if len(names) > 1:
        samples = [replace(s, product=class_name(source.root.name, parent(s.id))) for s in samples]
    lists = (f"{labels}/{LIST_NAME}" for labels in folders.values())
    return Contents(tuple(samples), tuple(sorted(names)), skipped, read=frozenset(lists))


def find_folders(tree: Tree) -> dict[str, str]:
    """Image folder → its folder of masks, which may hold only the list when no image is defective."""
    found = {}
    for folder, names in tree.folders.items():
        named = folder.rpartition("/")[2].lower() in LABEL_FOLDERS
        labels = any(stem(name).endswith("_label") or name == LIST_NAME for name in names)
        if named and labels and tree.images_in(parent(folder)):
            found[parent(folder)] = folder
    return found


def defective_images(source: Source, folder: str, labels: str) -> dict[str, str | None]:
    """Stem → mask of each defective image, from Labels.txt where there is one, else from the masks present.

    A mask that the list promises and the folder lacks is None.
    """
    masks = {stem(file).removesuffix("_label"): file for file in source.tree.images_in(labels)}
    if LIST_NAME not in source.tree.folders[labels]:
        return dict(masks)
    lines = read_text(source.root / labels / LIST_NAME).splitlines()[1:]
    listed = [line.split() for line in lines if line.strip()]
    return {parts[0]: masks.get(parts[0]) for parts in listed if len(parts) > 1 and parts[1] == "1"}


def read_sample(source: Source, file: str, marked: dict[str, str | None]) -> Sample:
    annotations: tuple[Annotation, ...] = ()
    if stem(file) in marked:
        mask = marked[stem(file)]
        if mask is None:
            raise BlemishError(
                f"{source.root / file} must have a mask, {LIST_NAME} says it is defective. "
                f"Received: no {stem(file)}_label file. Add the mask or correct the list."
            )
        place = MaskFile(source.root / mask, above=source.settings.above)
        annotations = (Annotation(class_name(source.root.name, parent(file)), mask=place),)
    return Sample(source.root / file, file, annotations, split=split_of_path(file))


def class_name(root_name: str, folder: str) -> str:
    """The nearest folder that is not Train or Test; the root's own name when there is none."""
    parts = [part for part in folder.split("/") if part and part.lower() not in SPLIT_OF_FOLDER]
    return parts[-1] if parts else root_name
