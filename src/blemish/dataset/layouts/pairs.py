"""The `pairs` layout: images with masks, which say by themselves what is defective.

The masks lie in a folder of their own (`mask/`, `ground_truth/`, VOC's `SegmentationClass/` …) under the
images' stems, or beside the images as `<stem>_mask`, `<stem>_GT`, `<stem>_label`. Masks of one value have one
class, 'defect'. Class numbers and colours are classes, named by dataset.yaml or by a file of the dataset.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from blemish.dataset.account import SHOWN, number
from blemish.dataset.layouts import labels
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
from blemish.dataset.layouts.label_names import DEFECT, is_clean, label_folder
from blemish.dataset.layouts.mask_index import MaskIndex, find_masks, image_facts
from blemish.dataset.layouts.mask_names import read_mask_names
from blemish.dataset.layouts.unlabelled import by_rule
from blemish.dataset.mask_files import MaskFacts
from blemish.dataset.mask_sets.mask_set import MaskNames, MaskReadings
from blemish.dataset.mask_sets.read import read_masks
from blemish.dataset.samples import Annotation, Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.untrusted import read_text

IMAGE_SETS = "ImageSets/Segmentation/"
INSTANCE_FOLDER = "segmentationobject"  # VOC's numbers of objects, beside SegmentationClass
NUMBERED = re.compile(r"\D*\d+")  # folders of lots and items, not of classes
PHYSICAL_ITEM = re.compile(r"kos\d+", re.I)  # KolektorSDD: a folder holds the images of one item


@dataclass(frozen=True)
class MaskedImage:
    """An image and the facts on its masks."""

    image: str
    facts: tuple[MaskFacts, ...]


def detect(tree: Tree) -> str | None:
    """Images have masks of their names, in a mask folder or beside them."""
    index = find_masks(tree)
    if labels.detect(tree):
        return None
    image = next(iter(index.masks_of), None)
    return f"{image} has its mask in {index.of(image)[0]}" if image else None


def read(source: Source) -> Contents:
    index = find_masks(source.tree)
    index.refuse_doubtful(source)
    splits, lists = image_sets(source)
    images, unlisted = masked_images(source, index, splits)
    images, lacking = by_mask(source, index, images)
    pairs, skipped = collect(
        images, lambda image: read_image_masks(source, index, image), name=str, skip=source.skip_broken
    )
    names, files = read_mask_names(source)
    readings = read_masks(
        [facts for pair in pairs for facts in pair.facts], source.settings, source.root, names=names
    )
    label = plain_label(source, names)
    samples = tuple(masked_sample(source, pair, readings, label, splits) for pair in pairs)
    used = {a.label for sample in samples for a in sample.annotations}
    own = [*names_of_user(source, names)]
    class_names = tuple(dict.fromkeys([*own, *(n for n in readings.labels if n in used)])) or (label,)
    objects = {
        file: "VOC's numbers of objects are not read beside its classes"
        for masks in index.masks_of.values()
        for file in masks
        if is_object_mask(file)
    }
    read = {mask for image in images for mask in class_masks(index, image)}
    contents = Contents(
        samples,
        (*class_names, *sorted(used - {*class_names})),
        skipped,
        read=frozenset({*read, *files, *lists}),
        left_out={**index.left_out, **objects, **unlisted},
        warnings=(*readings.warnings, *folders_not_classes(source, samples, class_names)),
    )
    return by_rule(contents, source, lacking)


def folders_not_classes(source: Source, samples: Sequence[Sample], class_names: Sequence[str]) -> list[str]:
    """Line on folders whose names could be classes, where neither masks nor a named layout tell."""
    if source.settings.layout:
        return []
    folders = sorted({label_folder(s.id) for s in samples if s.is_defective} - {""})
    names = [name for name in folders if not NUMBERED.fullmatch(name)]
    if len(names) < 2 or len(class_names) > 1:
        return []
    return [
        f"the folders {', '.join(names[:SHOWN])}{' …' * (len(names) > SHOWN)} are not read as classes: "
        f"the masks mark '{class_names[0]}' alone. Put 'layout: labels' into {SETTINGS_NAME} where they are "
        "classes, 'layout: pairs' where they are not."
    ]


def masked_images(
    source: Source, index: MaskIndex, splits: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Images that need a mask: those with one, and their neighbours.

    Second, those that VOC's lists leave out, with the reason.
    """
    folders = {parent(image) for image in index.masks_of}
    beside = [image for image in index.photographs if parent(image) in folders]
    if not splits:
        return beside, {}
    images = [image for image in beside if stem(image) in splits or index.of(image)]
    left = set(beside) - {*images}
    return images, dict.fromkeys(
        sorted(left), f"no list of {IMAGE_SETS} names these images, nor have they masks"
    )


def by_mask(source: Source, index: MaskIndex, images: list[str]) -> tuple[list[str], list[str]]:
    """Images with a mask, or that need one; second, those without that `unlabelled:` is about.

    Raises BlemishError for a mask without an image, where an image without a mask counts as clean.
    """
    good = [file for file in index.photographs if is_clean(label_folder(file), source.settings)]
    images = list(dict.fromkeys([*images, *good]))
    rule = source.settings.unlabelled
    if rule not in ("clean", "leave-out"):
        return images, []
    if rule == "clean":
        index.refuse_orphans(source)
    described = {image for image in images if class_masks(index, image)} | {*good}
    others = index.photographs if rule == "clean" else images
    return [i for i in images if i in described], [i for i in others if i not in described]


def class_masks(index: MaskIndex, image: str) -> tuple[str, ...]:
    """Masks of an image without VOC's object masks, where it has others."""
    masks = index.of(image)
    return tuple(mask for mask in masks if not is_object_mask(mask)) or masks


def is_object_mask(mask: str) -> bool:
    return INSTANCE_FOLDER in mask.lower().split("/")


def read_image_masks(source: Source, index: MaskIndex, image: str) -> MaskedImage:
    masks = class_masks(index, image)
    if not masks and not is_clean(label_folder(image), source.settings):
        raise BlemishError(
            f"{source.root / image} must have a mask. Received: no file of its name in the mask folder. "
            "Add the mask (all black for a clean image), or put 'unlabelled: clean' (or 'leave-out') into "
            f"{SETTINGS_NAME}."
        )
    exact = source.settings.exact_colours
    return MaskedImage(image, image_facts(source, image, masks, exact_colours=exact))


def names_of_user(source: Source, names: MaskNames) -> list[str]:
    """Classes that dataset.yaml names by values and colours of masks, seen or not; void is none."""
    own = [*source.settings.value_names.values(), *source.settings.colour_names.values()]
    return [name for name in own if name in {*names.by_value.values(), *names.by_colour.values()}]


def plain_label(source: Source, names: MaskNames) -> str:
    """Class of masks that tell none: the only one that `classes:` or the dataset names, or 'defect'."""
    classes = source.settings.classes
    known = classes if isinstance(classes, tuple) else tuple(dict.fromkeys(names.by_value.values()))
    return known[0] if len(known) == 1 else DEFECT


def masked_sample(
    source: Source, pair: MaskedImage, readings: MaskReadings, label: str, splits: dict[str, str]
) -> Sample:
    """Sample with an annotation for each mark of its masks; each of several masks is a defect of its own."""
    several = len(pair.facts) > 1
    marked = tuple(
        Annotation(
            mark.label or label,
            mask=replace(mark.mask, whole=True) if several else mark.mask,
            id=mark.id or (stem(facts.path.name) if several else ""),
        )
        for facts in pair.facts
        for mark in readings.of(facts.path)
    )
    folder = parent(pair.image).rpartition("/")[2]
    return Sample(
        source.root / pair.image,
        pair.image,
        marked,
        group=folder if PHYSICAL_ITEM.fullmatch(folder) else None,
        split=splits.get(stem(pair.image)) or split_of_path(pair.image),
    )


def image_sets(source: Source) -> tuple[dict[str, str], list[str]]:
    """Stem → split ('' for none) of VOC's lists for segmentation, and the list files.

    'trainval' gives way to 'train' and 'val'. Raises BlemishError for names of which no image is there.
    """
    files = [file for file in source.tree.files if f"/{IMAGE_SETS}" in f"/{file}" and file.endswith(".txt")]
    order = ("default", "trainval", "train", "val", "test")
    known = [file for name in order for file in files if stem(file) == name]
    splits: dict[str, str] = {}
    for file in known:
        names = [line.split()[0] for line in read_text(source.root / file).splitlines() if line.strip()]
        missing = [name for name in names if name not in source.tree.by_stem]
        if missing and not source.skip_broken:
            shown = ", ".join(missing[:SHOWN])
            raise BlemishError(
                f"{source.root / file} must name images that are there. Received: "
                f"{number(len(missing), 'name')} without an image ({shown}). "
                "Add the images or correct the list."
            )
        splits |= dict.fromkeys(names, SPLIT_OF_FOLDER.get(stem(file), ""))
    return splits, known
