"""The noun Dataset: samples on disk, their annotations, and the names of the classes.

Nothing here reads pixels; masks stay references to files until `blemish.dataset.masks` reads them.
Boxes are xyxy in float pixels of the image as decoded (EXIF orientation applied), half-open; sizes are
(height, width).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from blemish.arrays import Box
from blemish.dataset.account import Account

Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class MaskFile:
    """Reference to the pixels of an annotation: a file, and which of its values mean this annotation.

    path: an image file (PNG, JPEG, BMP, TIFF) or a MATLAB .mat file of CrackForest's structure
    above: a pixel belongs when its value is > above (gray mask), in 255ths of the range of its type, so that
        of 16 bits when it is > 257 · above; for .mat, when the segment label is > above
    values: instead, values or palette indices as stored; a pixel belongs when it has one of them
    colour: instead, an RGB colour; a pixel belongs when it is nearer to this colour than to black or to any
        colour in `other_colours` (so that blurred and JPEG edges are shared out)
    any_colour: of a colour mask, a pixel belongs when its brightest channel is > above, not its luminance
    whole: its pixels are one defect, however many regions they form
    """

    path: Path
    above: int = 127
    colour: tuple[int, int, int] | None = None
    other_colours: tuple[tuple[int, int, int], ...] = ()
    values: tuple[int, ...] = ()
    any_colour: bool = False
    whole: bool = False


@dataclass(frozen=True)
class RunLengths:
    """A mask inside an annotation file: COCO's uncompressed run lengths, by columns, starting with zeros."""

    counts: tuple[int, ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class Annotation:
    """A defect or label of an image: always a class, and its place as exactly as the dataset knows it.

    With neither box, polygons nor mask it is an image label. A mask file may hold several defects of the
    class.
    contrast: for surfaces whose truth is known, the defect's mean contrast in gray levels of 255
    crowd: a region of many defects that were not marked singly, COCO's `iscrowd`
    difficult: hard to tell even for a person, VOC's `difficult`
    """

    label: str
    box_xyxy: Box | None = None
    polygons: tuple[Polygon, ...] = ()
    mask: MaskFile | RunLengths | None = None
    contrast: float | None = None
    id: str = ""
    crowd: bool = False
    difficult: bool = False

    @property
    def has_place(self) -> bool:
        return self.box_xyxy is not None or self.has_outline

    @property
    def has_outline(self) -> bool:
        return bool(self.polygons) or self.mask is not None


@dataclass(frozen=True)
class Sample:
    """An image and its annotations; none means a clean image.

    id: path of the image relative to the dataset's root, with forward slashes; unique
    group: what must stay together in a split (lot, part, source photograph), if known
    split: "train", "val", "test" or None
    reference: aligned image of a good part, where the dataset has one
    product: what the image shows, in a dataset of several products; None in a dataset of one
    """

    image: Path
    id: str
    annotations: tuple[Annotation, ...] = ()
    group: str | None = None
    split: str | None = None
    reference: Path | None = None
    product: str | None = None

    @property
    def is_defective(self) -> bool:
        return bool(self.annotations)


@dataclass(frozen=True)
class Dataset:
    """Samples and class names. Immutable: every selection is a new dataset over the same files.

    layout: name of the layout it was read from, and `reason`, why that one, for the user
    skipped: files left out on request, each with its reason
    account: what became of every file and annotation that reading found
    """

    root: Path
    samples: tuple[Sample, ...]
    class_names: tuple[str, ...]
    layout: str = ""
    reason: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    account: Account = field(default_factory=Account)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def where(self, keep: Callable[[Sample], bool]) -> Dataset:
        """Dataset of the samples for which `keep` is true; class names stay."""
        return replace(self, samples=tuple(sample for sample in self.samples if keep(sample)))

    def split(self, name: str) -> Dataset:
        """The samples of split `name` ("train", "val", "test"), or all of them for "all"."""
        return self if name == "all" else self.where(lambda sample: sample.split == name)

    def with_splits(self, split_of: Mapping[str, str | None]) -> Dataset:
        """Dataset whose samples have the splits that `split_of` gives their ids; None for ids not in it."""
        moved = (replace(sample, split=split_of.get(sample.id)) for sample in self.samples)
        return replace(self, samples=tuple(moved))

    @property
    def splits(self) -> dict[str, int]:
        """Number of samples in each split; those in no split are counted under ''."""
        return count(sample.split or "" for sample in self.samples)

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products, in order of first appearance; none in a dataset of one product."""
        return tuple(dict.fromkeys(sample.product for sample in self.samples if sample.product is not None))

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of images that show each class, for every class name."""
        counts = count(label for s in self.samples for label in {a.label for a in s.annotations})
        return {name: counts.get(name, 0) for name in self.class_names}


def count(items: Iterable[str]) -> dict[str, int]:
    """Number of times that each item occurs, in order of first appearance."""
    counts: dict[str, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts
