"""Ratings of the same images by two raters, from label sets or a machine's inspections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blemish.arrays import Size
from blemish.dataset.hashing import contents_of
from blemish.dataset.ignored import counted, ignored_marks, is_doubtful, refuse_unusable_places
from blemish.dataset.masks import Instance
from blemish.dataset.opening import open_dataset
from blemish.dataset.quality.near_duplicates import nearly_same
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.predictions.drawing import pixels_of
from blemish.evaluation.predictions.inspections import InspectionPredictions, read_inspections
from blemish.evaluation.truth import with_places
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict

NAMELESS = "defective"  # category of a rejected image without a named defect


@dataclass(frozen=True)
class Rating:
    """Rating of an image by a rater.

    labels: classes of its defects, none on a good part; marks: the defects with a place
    placed: True where all defects have a place and none is in a crowd or difficult region, which is not
        compared; outlined: True where all places have pixels
    """

    labels: frozenset[str]
    marks: tuple[Instance, ...]
    placed: bool
    outlined: bool

    @property
    def category(self) -> str:
        """Classes in words, or "clean"."""
        return " and ".join(sorted(self.labels)) or "clean"


@dataclass(frozen=True)
class RatedImage:
    """An image with the ratings of both raters. size: (height, width)"""

    sample: Sample
    size: Size
    first: Rating
    second: Rating


def read_rater(
    path: Path, first: Dataset | None, *, skip_broken: bool = False
) -> Dataset | InspectionPredictions:
    """Label set of a rater, or a machine's inspections (.jsonl) of the images of the first rater.

    first: the first rater's label set, None while that is read. Raises BlemishError for anything else.
    """
    if path.suffix.lower() != ".jsonl":
        return open_dataset(path, skip_broken=skip_broken)
    if first is None:
        raise BlemishError(f"The first rater must be a dataset. Received: {path}. Give the dataset first.")
    return read_inspections(path, first)


def matched(
    first: Dataset, second: Dataset | InspectionPredictions
) -> tuple[list[tuple[Sample, Sample | Inspection]], int]:
    """Images that both raters judge, in pairs, and the number of those that only one of them judges.

    Raises BlemishError where there is no pair.
    """
    if isinstance(second, Dataset):
        pairs = same_images(first, second)
        alone = len(first) + len(second) - 2 * len(pairs)
        place = f"{second.root} and {first.root}"
    else:
        pairs = [(sample, second.inspect(sample, 0)) for sample in first if sample.id in second.covered]
        alone, place = len(first) - len(pairs), f"{second.path} and {first.root}"
    if not pairs:
        raise BlemishError(
            f"{place} must rate the same images. Received: none in common, by path or content. Give two "
            "label sets of the same images."
        )
    return pairs, alone


def same_images(first: Dataset, second: Dataset) -> list[tuple[Sample, Sample | Inspection]]:
    """Pairs of samples of the same image, in the order of `first`.

    Matched by equal path below the roots where both files show nearly the same image, the rest by equal
    content.
    """
    twins = same_path(first, second)
    taken = {twin.id for twin in twins.values()}
    rest = [sample for sample in first if sample.id not in twins]
    left = [sample for sample in second if sample.id not in taken]
    if rest and left:
        contents = contents_of([sample.image for sample in (*rest, *left)])
        by_content = {contents[sample.image]: sample for sample in reversed(left)}
        for sample in rest:
            twin = by_content.pop(contents[sample.image], None)
            if twin is not None:
                twins[sample.id] = twin
    return [(sample, twins[sample.id]) for sample in first if sample.id in twins]


def same_path(first: Dataset, second: Dataset) -> dict[str, Sample]:
    """Samples of `second` by the id of that in `first` with the same path and nearly the same image.

    The path alone does not tell: 001.png is in many sets. Raises BlemishError where two such files are of
    different size.
    """
    by_id = {sample.id: sample for sample in second}
    named = [(sample, by_id[sample.id]) for sample in first if sample.id in by_id]
    apart = [pair for pair in named if pair[0].image.resolve() != pair[1].image.resolve()]
    contents = contents_of([sample.image for pair in apart for sample in pair])
    changed = [pair for pair in apart if contents[pair[0].image] != contents[pair[1].image]]
    for sample, twin in changed:
        refuse_other_size(sample, twin, image_size(sample.image))
    alike = zip(changed, nearly_same(changed), strict=True)
    strangers = {sample.id for (sample, _), same in alike if not same}
    return {sample.id: twin for sample, twin in named if sample.id not in strangers}


def rated(pairs: Sequence[tuple[Sample, Sample | Inspection]]) -> Iterator[RatedImage]:
    """Both ratings of each image; an image that the machine could not judge, or on which a rater marked
    difficult defects alone, is left out.

    Raises BlemishError where two files of the same name are of different size.
    """
    for sample, answer in pairs:
        if is_doubtful(sample) or (isinstance(answer, Sample) and is_doubtful(answer)):
            continue
        refuse_unusable_places(sample)
        size = image_size(sample.image)
        rating = rating_of(sample, size)
        if isinstance(answer, Sample):
            refuse_other_size(sample, answer, size)
            refuse_unusable_places(answer)
            yield RatedImage(sample, size, rating, rating_of(answer, size))
        elif answer.verdict is not Verdict.ERROR:
            yield RatedImage(sample, size, rating, rating_of_inspection(answer, sample, size))


def without_names(image: RatedImage) -> RatedImage:
    """The image with every class called `NAMELESS`, for a rater that does not tell classes apart."""

    def nameless(rating: Rating) -> Rating:
        labels = frozenset({NAMELESS}) if rating.labels else rating.labels
        return replace(rating, labels=labels, marks=tuple(replace(m, label=NAMELESS) for m in rating.marks))

    return replace(image, first=nameless(image.first), second=nameless(image.second))


def refuse_other_size(first: Sample, second: Sample, size: Size) -> None:
    """Raises BlemishError where the second image is not of `size`, that of the first."""
    received = image_size(second.image)
    if received != size:
        raise BlemishError(
            f"{second.image} must be the same image as {first.image}. Received: {received[1]}×{received[0]} "
            f"for {size[1]}×{size[0]} (width×height). Give both label sets the same images."
        )


def rating_of(sample: Sample, size: Size) -> Rating:
    """Rating by a label set; a place that turns out empty and a crowd region are labels without a place."""
    own, marks = with_places(counted(sample), size)
    ignored = ignored_marks(sample)
    mere = {annotation.label for annotation in own.annotations if not annotation.has_place}
    mere |= {region.label for region in ignored if region.crowd}
    labels = frozenset(mere | {mark.label for mark in marks})
    return Rating(
        labels, tuple(marks), not mere and not ignored, all(mark.mask is not None for mark in marks)
    )


def rating_of_inspection(answer: Inspection, sample: Sample, size: Size) -> Rating:
    """Rating by a machine: its defects, unless it passed the image; REVIEW is no pass."""
    if answer.verdict is Verdict.OK:
        return Rating(frozenset(), (), True, True)
    outlines = [Annotation(defect.label, defect.box_xyxy, defect.contour) for defect in answer.defects]
    marks = [mark for mark in (pixels_of(outline, sample, size) for outline in outlines) if mark is not None]
    labels = frozenset(defect.label for defect in answer.defects) or frozenset({NAMELESS})
    outlined = all(mark.mask is not None for mark in marks)
    return Rating(labels, tuple(marks), bool(marks), outlined)
