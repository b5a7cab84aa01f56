"""The `masks` layout: class folders with images and same-named PNG masks beside them, as Magnetic-tile has.

The folder names the class ("MT_Blowhole/Imgs" is Blowhole: a shared prefix is dropped). An image whose
mask is empty is clean, whatever its folder; one without a mask is clean only in a folder of a clean name.
Two photographs of a name are told from an image and its mask by their values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from blemish.dataset.layouts.common import (
    SPLIT_OF_FOLDER,
    Contents,
    Source,
    Tree,
    collect,
    join,
    parent,
    split_of_path,
    stem,
)
from blemish.dataset.layouts.label_names import is_clean, refuse_doubtful_names
from blemish.dataset.layouts.mask_index import image_facts
from blemish.dataset.layouts.unlabelled import by_rule
from blemish.dataset.mask_files import MAX_EXACT, MaskFacts, mask_facts
from blemish.dataset.mask_sets.mask_set import MaskReadings
from blemish.dataset.mask_sets.read import read_masks
from blemish.dataset.samples import Annotation, Sample
from blemish.dataset.settings import SETTINGS_NAME
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
    refuse_lone_masks(source, mask_of)
    refuse_doubtful_names(names.values(), source.settings, source.root)
    lacking = []
    if source.settings.unlabelled in ("clean", "leave-out"):
        lacking = [file for file in mask_of if lacks_mask(source, mask_of[file], names[parent(file)])]
    found, skipped = collect(
        [file for file in mask_of if file not in lacking],
        lambda file: (file, read_facts(source, file, mask_of[file], names[parent(file)])),
        name=str,
        skip=source.skip_broken,
    )
    readings = read_masks(
        [facts for _, facts in found if facts], source.settings, source.root, one_class=True
    )
    samples, contrary = collect(
        found,
        lambda item: read_sample(source, *item, readings, names[parent(item[0])]),
        name=lambda item: item[0],
        skip=source.skip_broken,
    )
    labels = {name for name in names.values() if not is_clean(name, source.settings)}
    contents = Contents(
        tuple(samples),
        tuple(sorted(labels)),
        {**skipped, **contrary},
        read=frozenset(filter(None, mask_of.values())),
        warnings=readings.warnings,
    )
    return by_rule(contents, source, lacking)


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


def refuse_lone_masks(source: Source, mask_of: Mapping[str, str | None]) -> None:
    """Raise BlemishError for a PNG with a mask's values and no image, where the images are of other types."""
    masked = [image for image, mask in mask_of.items() if mask]
    if any(image.lower().endswith(".png") for image in masked):
        return
    lone = [image for image, mask in mask_of.items() if mask is None and image.lower().endswith(".png")]
    facts, _ = collect(lone, lambda file: mask_facts(source.root / file), name=str, skip=True)
    masks = [f.path for f in facts if f.is_exact and f.kind != "colour" and len(f.values) < MAX_EXACT]
    if masks:
        more = f" and {len(masks) - 1} more" if len(masks) > 1 else ""
        raise BlemishError(
            f"{masks[0]}{more} must lie beside an image of its name. Received: a mask without one. Add the "
            "image or remove the mask."
        )


def lacks_mask(source: Source, mask: str | None, label: str) -> bool:
    return mask is None and not is_clean(label, source.settings)


def read_facts(source: Source, file: str, mask: str | None, label: str) -> MaskFacts | None:
    """Facts on an image's mask. Raises BlemishError where it has none and its folder does not mean clean."""
    if lacks_mask(source, mask, label):
        raise BlemishError(
            f"{source.root / file} must have a mask beside it. Received: no {stem(file)}.png. "
            "Add the mask, move the image into a folder named 'good', or put 'unlabelled: clean' into "
            f"{SETTINGS_NAME}."
        )
    return image_facts(source, file, [mask])[0] if mask else None


def read_sample(
    source: Source, file: str, facts: MaskFacts | None, readings: MaskReadings, label: str
) -> Sample:
    marks = readings.of(facts.path) if facts else ()
    if marks and is_clean(label, source.settings):
        raise BlemishError(
            f"{marks[0].mask.path} must be empty, as its folder's name means clean. Received: a mask with "
            "marked pixels. Correct the mask or move the image."
        )
    annotations = tuple(Annotation(label, mask=mark.mask, id=mark.id) for mark in marks)
    return Sample(source.root / file, file, annotations, split=split_of_path(file))
