"""From what label files say of images to samples: names become files, shapes annotations, sizes are compared.

A reader gives entries, and a function that turns its kind of shape into an annotation; all that label tools
have in common is done here. A shape that cannot be held is named in the account; where it was an image's
last, the image is an error, as it would pass for clean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from blemish.arrays import Size
from blemish.dataset.account import remark
from blemish.dataset.layouts.common import (
    Contents,
    Remark,
    Source,
    Tree,
    collect,
    refuse_other_declared_size,
    remark_lines,
    split_of_path,
)
from blemish.dataset.layouts.identity import ELSEWHERE, Match
from blemish.dataset.layouts.label_names import class_label, is_clean, refuse_doubtful_names
from blemish.dataset.layouts.mask_index import find_masks
from blemish.dataset.layouts.shapes import CannotHoldError
from blemish.dataset.layouts.unlabelled import Rule, with_unlabelled
from blemish.dataset.samples import Annotation, Sample
from blemish.dataset.settings import DatasetSettings
from blemish.errors import BlemishError
from blemish.images.decode import image_size

BEYOND = "reaching beyond the image, of which the part inside counts"
SLACK = 1.0  # pixels by which an annotation may reach beyond its image without a word

ToAnnotation = Callable[[Any, str, Size], Annotation]  # shape, its place for messages, size of the image


@dataclass(frozen=True)
class DescribedImage:
    """An image as a label file describes it.

    file: the label file, relative to the root; name: the image as written there
    shapes: as the file has them; labels: names for the whole image, of which the clean ones add nothing
    declared: (height, width) that the file gives the image; split: that it gives it
    stored: the name is an address of the tool's own storage, whose folders say nothing here
    doubts: lines on what was not read, or may be wrong; alike ones are joined
    """

    file: str
    name: str
    shapes: Sequence[Any] = ()
    labels: tuple[str, ...] = ()
    declared: Size | None = None
    split: str | None = None
    stored: bool = False
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Described:
    """Outcome of an entry: the sample, shapes that found no place, and what should be said of the rest."""

    entry: DescribedImage
    sample: Sample
    dropped: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


def read_entries(
    source: Source,
    files: Sequence[str],
    entries_in: Callable[[str], Sequence[DescribedImage]],
    to_annotation: ToAnnotation,
    *,
    class_names: Callable[[], Iterable[str]] = tuple,
    unlabelled: Rule = "error",
) -> Contents:
    """Contents of the label files, or of those that `annotations:` of the settings names.

    entries_in: entries of a file; to_annotation: see ToAnnotation, raises CannotHoldError with a reason
    class_names: names that come first, in their order; the others follow sorted
    unlabelled: what images without an entry are, unless the settings say it
    """
    split_of = named_files(source)
    files = [*split_of] if split_of else files
    lists, broken = collect(files, entries_in, name=str, skip=source.skip_broken)
    entries = [
        replace(entry, split=split_of.get(entry.file) or entry.split) for found in lists for entry in found
    ]
    labels_of_images = (label for entry in entries for label in entry.labels)
    refuse_doubtful_names(labels_of_images, source.settings, source.root, noun="label")
    photographs = Tree(source.root, find_masks(source.tree).photographs)
    outcomes, skipped = collect(
        entries,
        lambda entry: described(source, photographs, entry, to_annotation),
        name=lambda entry: match.path if (match := image_of(photographs, entry)) else entry.name,
        skip=source.skip_broken,
    )
    single, doubled, remarks = each_once(outcomes, source)
    labels = sorted({a.label for one in single for a in one.sample.annotations})
    contents = Contents(
        tuple(one.sample for one in single),
        tuple(dict.fromkeys([*class_names(), *labels])),
        {**broken, **skipped, **doubled},
        read=frozenset(file for file in files if file not in broken),
        dropped={place: why for one in single for place, why in one.dropped.items()},
        warnings=(
            *remarks,
            *remark_lines(note for one in single for note in one.remarks),
            *alike_names(labels),
        ),
    )
    known = {*skipped, *doubled, *(one.sample.id for one in single)}
    return with_unlabelled(contents, source, known, default=unlabelled)


def named_files(source: Source) -> dict[str, str | None]:
    """Label files that the settings name, relative to the root where they lie in it, with their splits."""
    named = source.settings.annotations
    if named is None:
        return {}
    places = (
        {source.home / named: None}
        if isinstance(named, str)
        else {source.home / file: split for split, file in named.items()}
    )
    root = source.root.resolve()
    real = {path.resolve(): split for path, split in places.items()}
    return {
        path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path): split
        for path, split in real.items()
    }


def image_of(tree: Tree, entry: DescribedImage) -> Match | None:
    """The entry's image; None where there is none, or it is not clear which."""
    try:
        return tree.names.find(entry.name, near=entry.file)
    except BlemishError:
        return None


def described(
    source: Source, photographs: Tree, entry: DescribedImage, to_annotation: ToAnnotation
) -> Described:
    """Sample of an entry. Raises BlemishError for another size, and where no shape is left.

    photographs: images that are no masks, which go before those that are
    """
    match = image_of(photographs, entry) or source.tree.names.find(entry.name, near=entry.file)
    image, place = match.path, f"{source.root / entry.file}: {entry.name}"
    path, (height, width) = source.root / image, entry.declared or (None, None)
    refuse_other_declared_size(path, width, height, place)
    size = image_size(path)
    found = [Annotation(label) for label in marking(entry.labels, source.settings, place)]
    dropped: dict[str, str] = {}
    doubtful = match.doubt and not (entry.stored and match.doubt == ELSEWHERE)
    remarks = [Remark("image name", f"'{entry.name}' for {image}", match.doubt)] if doubtful else []
    remarks += [Remark("image", image, doubt) for doubt in entry.doubts]
    for number, shape in enumerate(entry.shapes, start=1):
        try:
            found.append(to_annotation(shape, f"{place}, shape {number}", size))
        except CannotHoldError as error:
            dropped[f"{entry.file}: {entry.name}, shape {number}"] = str(error)
            continue
        if reaches_beyond(found[-1], size, f"{place}, shape {number}"):
            remarks.append(Remark("annotation", f"{image} shape {number}", BEYOND))
    if dropped and not found:
        raise BlemishError(
            f"{place} must have a shape that can be held, or none when clean. Received: {len(dropped)}, of "
            f"which the first cannot, as {next(iter(dropped.values()))}. Draw it anew or remove it."
        )
    sample = Sample(path, image, tuple(found), split=entry.split or split_of_path(image))
    return Described(entry, sample, dropped, tuple(remarks))


def marking(labels: Sequence[str], settings: DatasetSettings, place: str) -> list[str]:
    """Classes of defects among labels of a whole image. Raises BlemishError beside one that means clean."""
    defects = list(
        dict.fromkeys(class_label(label, settings) for label in labels if not is_clean(label, settings))
    )
    if defects and any(is_clean(label, settings) for label in labels):
        raise BlemishError(
            f"{place} must be clean or defective. Received: {', '.join(labels)}. Correct the labels."
        )
    return defects


def reaches_beyond(annotation: Annotation, size: Size, place: str) -> bool:
    """Tell whether an annotation reaches beyond the image. Raises BlemishError where it lies outside."""
    points = [point for polygon in annotation.polygons for point in polygon]
    if annotation.box_xyxy is not None:
        points += [annotation.box_xyxy[:2], annotation.box_xyxy[2:]]
    if not points:
        return False
    (left, right), (top, bottom) = ((min(values), max(values)) for values in zip(*points, strict=True))
    height, width = size
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise BlemishError(
            f"{place} must lie in its image of {width}×{height} (width×height). Received: x from {left:g} to "
            f"{right:g}, y from {top:g} to {bottom:g}. Check that it is the image that was annotated."
        )
    return left < -SLACK or top < -SLACK or right > width + SLACK or bottom > height + SLACK


def each_once(
    outcomes: Sequence[Described], source: Source
) -> tuple[list[Described], dict[str, str], tuple[str, ...]]:
    """Outcomes with each image once; second, images that are described in two ways, with the reason.

    Raises BlemishError for the first of those, unless broken files are skipped.
    """
    first: dict[str, Described] = {}
    doubled: dict[str, str] = {}
    repeated = []
    for outcome in outcomes:
        known = first.setdefault(outcome.sample.id, outcome)
        if known is outcome:
            continue
        if plain(known.sample) == plain(outcome.sample):
            repeated.append(outcome.sample.id)
            continue
        doubled[outcome.sample.id] = (
            f"{outcome.sample.image} must be described once. Received: {known.entry.file} "
            f"({known.entry.name}) and {outcome.entry.file} ({outcome.entry.name}), which differ. "
            "Remove one of them."
        )
    if doubled and not source.skip_broken:
        raise BlemishError(next(iter(doubled.values())))
    remarks = (remark(repeated, "image", "described twice, both times alike"),) if repeated else ()
    return [one for image, one in first.items() if image not in doubled], doubled, remarks


def plain(sample: Sample) -> tuple[Annotation, ...]:
    return tuple(replace(annotation, id="") for annotation in sample.annotations)


def alike_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Line on class names that differ in their letters' case alone, and are perhaps one class."""
    spelt: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        spelt.setdefault(label.casefold(), []).append(label)
    alike = [" and ".join(names) for names in spelt.values() if len(names) > 1]
    return tuple(
        f"the classes {names} differ in letter case alone; 'classes:' can join them" for names in alike
    )
