"""The `pairs` layout: folders `image/` and `mask/` (or names alike) with files of the same stems.

Gray masks have one class, 'defect'. In colour masks each colour is a class: 'colour-ff0000', or the name that
`colours:` of dataset.yaml gives it. Blurred and dithered edges are shared out between the colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from blemish.arrays import Colour
from blemish.dataset.colours import is_coloured, mask_colours, merged, nearest, tally
from blemish.dataset.layouts.common import (
    Contents,
    Source,
    Tree,
    collect,
    refuse_faint_masks,
    split_of_path,
    stem,
)
from blemish.dataset.masks import mask_pixels
from blemish.dataset.samples import Annotation, MaskFile, Sample
from blemish.errors import BlemishError
from blemish.images.decode import luminance

IMAGE_FOLDERS = ("image", "images", "img", "imgs")
MASK_FOLDERS = ("mask", "masks", "label", "labels", "gt", "groundtruth", "ground_truth", "annotations")
MASK_ENDINGS = ("", "_mask", "_label", "_gt")


@dataclass(frozen=True)
class ImageMaskPair:
    """An image, its mask, the mask's brightest gray value and its colours."""

    image: str
    mask: str
    brightest: int
    colours: Mapping[Colour, int]


def detect(tree: Tree) -> str | None:
    """An image folder and a mask folder hold files of the same stems."""
    mates = find_mates(tree)
    image = next((image for image, mask in mates.items() if mask), None)
    return f"{image} has its mask in {mates[image]}" if image else None


def read(source: Source) -> Contents:
    mates = find_mates(source.tree)
    pairs, skipped = collect(
        list(mates), lambda image: read_pair(source, image, mates[image]), name=str, skip=source.skip_broken
    )
    read = frozenset(mask for mask in mates.values() if mask)
    coloured = bool(source.settings.colours) or any(is_coloured(pair.colours) for pair in pairs)
    if not coloured:
        refuse_faint_masks((pair.brightest for pair in pairs), source)
        classes = source.settings.classes
        label = classes[0] if isinstance(classes, tuple) and len(classes) == 1 else "defect"
        samples = tuple(gray_sample(source, pair, label) for pair in pairs)
        return Contents(samples, (label,), skipped, read=read)
    found = sorted(merged(pair.colours for pair in pairs))
    names = {colour: "colour-" + "".join(f"{value:02x}" for value in colour) for colour in found}
    if source.settings.colours:
        names = {colour: name for name, colour in source.settings.rgb_of.items()}
    coloured_samples, unknown = collect(
        pairs, lambda p: colour_sample(source, p, names), name=lambda p: p.image, skip=source.skip_broken
    )
    return Contents(tuple(coloured_samples), tuple(names.values()), {**skipped, **unknown}, read=read)


def find_mates(tree: Tree) -> dict[str, str | None]:
    """Image → its mask, or None, for the images in image folders beside mask folders."""
    masks = {file.rpartition(".")[0]: file for file in tree.images}
    mates: dict[str, str | None] = {}
    for folder in tree.folders:
        places = mask_folders(tree, folder)
        for file in tree.images_in(folder) if places else ():
            names = (f"{place}/{stem(file)}{ending}" for place in places for ending in MASK_ENDINGS)
            mates[file] = next((masks[name] for name in names if name in masks), None)
    return mates


def mask_folders(tree: Tree, folder: str) -> list[str]:
    """Folders that may hold the masks of an image folder: its path with `mask` or the like for `image`."""
    parts = folder.split("/")
    places = [i for i, part in enumerate(parts) if part.lower() in IMAGE_FOLDERS]
    if not places:
        return []
    last = places[-1]
    start, end = parts[:last], parts[last + 1 :]
    wanted = {"/".join([*start, name, *end]).lower() for name in MASK_FOLDERS}
    return [place for place in tree.folders if place.lower() in wanted and tree.images_in(place)]


def read_pair(source: Source, image: str, mask: str | None) -> ImageMaskPair:
    if mask is None:
        raise BlemishError(
            f"{source.root / image} must have a mask. Received: no file of its name in the mask folder. "
            "Add the mask (all black for a clean image) or remove the image."
        )
    pixels = mask_pixels(source.root / mask)
    if pixels.ndim == 2:
        return ImageMaskPair(image, mask, int(pixels.max(initial=0)), {})
    find = tally if source.settings.exact_colours else mask_colours
    colours = find(np.ascontiguousarray(pixels, np.uint8))
    return ImageMaskPair(image, mask, int(luminance(pixels).max(initial=0)), colours)


def gray_sample(source: Source, pair: ImageMaskPair, label: str) -> Sample:
    above = source.settings.above
    place = MaskFile(source.root / pair.mask, above=above)
    marked = (Annotation(label, mask=place),) if pair.brightest > above else ()
    return Sample(source.root / pair.image, pair.image, marked, split=split_of_path(pair.image))


def colour_sample(source: Source, pair: ImageMaskPair, names: dict[Colour, str]) -> Sample:
    """Sample with an annotation for each colour that the mask shows."""
    matches = {colour: nearest(colour, list(names)) for colour in pair.colours}
    unknown = next((colour for colour, match in matches.items() if match is None), None)
    if unknown is not None:
        known = ", ".join(f"{name} {colour}" for colour, name in names.items())
        raise BlemishError(
            f"{source.root / pair.mask} must show known colours only ({known}). Received: {unknown}. "
            "Add it to 'colours' in dataset.yaml or correct the mask."
        )
    shown = sorted({match for match in matches.values() if match}, key=list(names).index)
    annotations = tuple(
        Annotation(
            names[colour],
            mask=MaskFile(
                source.root / pair.mask,
                colour=colour,
                other_colours=tuple(other for other in shown if other != colour),
            ),
        )
        for colour in shown
    )
    return Sample(source.root / pair.image, pair.image, annotations, split=split_of_path(pair.image))
