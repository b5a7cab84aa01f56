"""Two raters' answers on the same pictures: label sets matched by path or content, or a machine's
inspections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blemish.arrays import Size
from blemish.dataset.hashing import contents_of
from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import Instance, defect_instances
from blemish.dataset.quality.near_duplicates import nearly_same
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.predictions.drawing import pixels_of
from blemish.evaluation.predictions.inspections import InspectionPredictions, read_inspections
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict

NAMELESS = "defective"  # what a rejected picture without a named defect shows


@dataclass(frozen=True)
class Rating:
    """What one rater says of a picture. labels: kinds of defects, none on a good part; marks: those with a
    place; placed, outlined: whether all have one, and by their pixels
    """

    labels: frozenset[str]
    marks: tuple[Instance, ...]
    placed: bool
    outlined: bool

    @property
    def category(self) -> str:
        return " and ".join(sorted(self.labels)) or "clean"


@dataclass(frozen=True)
class RatedImage:
    """One picture as both raters judge it. size: (height, width)"""

    sample: Sample
    size: Size
    one: Rating
    other: Rating


def read_rater(path: Path, first: Dataset | None) -> Dataset | InspectionPredictions:
    """A label set, or inspections of the first one's pictures. Raises BlemishError for neither."""
    if path.suffix.lower() != ".jsonl":
        return load_dataset(path)
    if first is None:
        raise BlemishError(f"The first rater must be a dataset. Received: {path}. Name the dataset first.")
    return read_inspections(path, first)


def matched(
    one: Dataset, other: Dataset | InspectionPredictions
) -> tuple[list[tuple[Sample, Sample | Inspection]], int]:
    """The pictures that both judge, and how many only one of them does. Raises BlemishError for none."""
    if isinstance(other, Dataset):
        pairs = same_images(one, other)
        alone = len(one) + len(other) - 2 * len(pairs)
        place = f"{other.root} and {one.root}"
    else:
        pairs = [(sample, other.inspect(sample, 0)) for sample in one if sample.id in other.covered]
        alone, place = len(one) - len(pairs), f"{other.path} and {one.root}"
    if not pairs:
        raise BlemishError(
            f"{place} must judge the same pictures. Received: none in common, by path or content. Name two "
            "label sets of the same pictures."
        )
    return pairs, alone


def same_images(one: Dataset, other: Dataset) -> list[tuple[Sample, Sample | Inspection]]:
    """Pairs by equal path below the roots, where both files show nearly the same picture; the rest by equal
    content; in the order of `one`.
    """
    of_one = same_path(one, other)
    taken = {twin.id for twin in of_one.values()}
    rest = [sample for sample in one if sample.id not in of_one]
    left = [sample for sample in other if sample.id not in taken]
    if rest and left:
        contents = contents_of([sample.image for sample in (*rest, *left)])
        by_content = {contents[sample.image]: sample for sample in reversed(left)}
        for sample in rest:
            twin = by_content.pop(contents[sample.image], None)
            if twin is not None:
                of_one[sample.id] = twin
    return [(sample, of_one[sample.id]) for sample in one if sample.id in of_one]


def same_path(one: Dataset, other: Dataset) -> dict[str, Sample]:
    """The samples of `other` by those of `one` that they are named like and show: 001.png is in many sets.

    Raises BlemishError where two such files are of different size.
    """
    by_id = {sample.id: sample for sample in other}
    named = [(sample, by_id[sample.id]) for sample in one if sample.id in by_id]
    apart = [pair for pair in named if pair[0].image.resolve() != pair[1].image.resolve()]
    contents = contents_of([sample.image for pair in apart for sample in pair])
    changed = [pair for pair in apart if contents[pair[0].image] != contents[pair[1].image]]
    for first, second in changed:
        refuse_other_size(first, second, image_size(first.image))
    alike = zip(changed, nearly_same(changed), strict=True)
    strangers = {first.id for (first, _), same in alike if not same}
    return {first.id: second for first, second in named if first.id not in strangers}


def rated(pairs: Sequence[tuple[Sample, Sample | Inspection]]) -> Iterator[RatedImage]:
    """Both ratings of each picture; a picture that the machine could not judge is left out.

    Raises BlemishError where two files of one name are of different size.
    """
    for sample, answer in pairs:
        size = image_size(sample.image)
        one = rating_of(sample, size)
        if isinstance(answer, Sample):
            refuse_other_size(sample, answer, size)
            yield RatedImage(sample, size, one, rating_of(answer, size))
        elif answer.verdict is not Verdict.ERROR:
            yield RatedImage(sample, size, one, rating_of_inspection(answer, sample, size))


def without_names(both: RatedImage) -> RatedImage:
    """The same where one rater has no names for what it finds: every kind is called alike."""

    def nameless(rating: Rating) -> Rating:
        labels = frozenset({NAMELESS}) if rating.labels else rating.labels
        return replace(rating, labels=labels, marks=tuple(replace(m, label=NAMELESS) for m in rating.marks))

    return replace(both, one=nameless(both.one), other=nameless(both.other))


def refuse_other_size(one: Sample, other: Sample, size: Size) -> None:
    there = image_size(other.image)
    if there != size:
        raise BlemishError(
            f"{other.image} must be the same picture as {one.image}. Received: {there[1]}×{there[0]} for "
            f"{size[1]}×{size[0]} (width×height). Give both label sets the same pictures."
        )


def rating_of(sample: Sample, size: Size) -> Rating:
    """What a label set says; a place that turns out empty is no mark."""
    marks = tuple(defect_instances(sample, size))
    mere = {annotation.label for annotation in sample.annotations if not annotation.has_place}
    labels = frozenset(mere | {mark.label for mark in marks})
    return Rating(labels, marks, not mere, all(mark.mask is not None for mark in marks))


def rating_of_inspection(answer: Inspection, sample: Sample, size: Size) -> Rating:
    """What a machine says: its defects, unless it passed the picture; REVIEW is not passed."""
    if answer.verdict is Verdict.OK:
        return Rating(frozenset(), (), True, True)
    outlines = [Annotation(one.label, one.box_xyxy, one.contour) for one in answer.defects]
    marks = [mark for mark in (pixels_of(one, sample, size) for one in outlines) if mark is not None]
    labels = frozenset(one.label for one in answer.defects) or frozenset({NAMELESS})
    outlined = all(mark.mask is not None for mark in marks)
    return Rating(labels, tuple(marks), bool(marks), outlined)
