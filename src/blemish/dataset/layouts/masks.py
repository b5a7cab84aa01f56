"""The `masks` layout: class folders with images and same-named PNG masks beside them, as Magnetic-tile has.

The folder names the class ("MT_Blowhole/Imgs" is Blowhole: a shared prefix is dropped). An image whose
mask is empty is clean, whatever its folder; one without a mask is clean only in a folder of a clean name.
"""

from __future__ import annotations

import re

from blemish.dataset.layouts.common import (
    CLEAN_NAMES,
    SPLIT_OF_FOLDER,
    Contents,
    Source,
    Tree,
    collect,
    join,
    parent,
    refuse_faint_masks,
    split_of_path,
    stem,
)
from blemish.dataset.masks import brightest
from blemish.dataset.samples import Annotation, MaskFile, Sample
from blemish.errors import BlemishError

GENERIC_FOLDERS = frozenset({"imgs", "images", "img", "image", "data", *SPLIT_OF_FOLDER})


def detect(tree: Tree) -> str | None:
    """Some folder holds images beside PNG masks of the same names."""
    for folder in tree.folders:
        mates = mates_in(tree, folder)
        matched = [image for image, mask in mates.items() if mask]
        if matched and 2 * len(matched) >= len(mates):
            return f"{join(folder, stem(matched[0]))} is there as image and as PNG mask"
    return None


def read(source: Source) -> Contents:
    names = class_names(source.tree)
    mask_of = {image: mask for folder in names for image, mask in mates_in(source.tree, folder).items()}
    found, skipped = collect(
        list(mask_of),
        lambda file: read_sample(source, file, mask_of[file], names[parent(file)]),
        name=str,
        skip=source.skip_broken,
    )
    refuse_faint_masks((peak for _, peak in found), source)
    labels = {name for name in names.values() if name.lower() not in CLEAN_NAMES}
    samples = tuple(sample for sample, _ in found)
    return Contents(samples, tuple(sorted(labels)), skipped, read=frozenset(filter(None, mask_of.values())))


def mates_in(tree: Tree, folder: str) -> dict[str, str | None]:
    """Image → its mask: a PNG is a mask when an image of another type has its name, else an image."""
    files = tree.images_in(folder)
    others = {stem(file) for file in files if not file.lower().endswith(".png")}
    masks = {stem(file): file for file in files if file.lower().endswith(".png") and stem(file) in others}
    return {file: masks.get(stem(file)) for file in files if file != masks.get(stem(file))}


def class_names(tree: Tree) -> dict[str, str]:
    """Folder of images → class name: the nearest enclosing folder whose name says something."""
    named = {}
    for folder in (folder for folder in tree.folders if tree.images_in(folder)):
        telling = [part for part in folder.split("/") if part and part.lower() not in GENERIC_FOLDERS]
        named[folder] = telling[-1] if telling else "defect"
    prefixes = {re.match(r"[^_-]*[_-]|", name)[0] for name in named.values()}  # type: ignore[index]
    shared = prefixes.pop() if len(prefixes) == 1 and len(set(named.values())) > 1 else ""
    return {folder: name.removeprefix(shared) for folder, name in named.items()}


def read_sample(source: Source, file: str, mask: str | None, label: str) -> tuple[Sample, int]:
    """The sample and the brightest value of its mask (0 without one)."""
    if mask is None and label.lower() not in CLEAN_NAMES:
        raise BlemishError(
            f"{source.root / file} must have a mask beside it. Received: no {stem(file)}.png. "
            "Add the mask, or move the image into a folder named 'good'."
        )
    path = source.root / (mask or file)
    peak = brightest(path) if mask else 0
    marked = peak > source.settings.above
    if marked and label.lower() in CLEAN_NAMES:
        raise BlemishError(
            f"{path} must be empty, as its folder's name means clean. Received: a mask with marked pixels. "
            "Correct the mask or move the image."
        )
    annotations = (Annotation(label, mask=MaskFile(path, above=source.settings.above)),) if marked else ()
    return Sample(source.root / file, file, annotations, split=split_of_path(file)), peak
