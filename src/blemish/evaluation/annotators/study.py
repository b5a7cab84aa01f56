"""Study of two raters: their agreement on verdicts, classes and places, and the images on which they differ.

Letters: K categories, N marks of the first rater, M of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.evaluation.annotators.kappa import Kappa, kappa_of, table_of
from blemish.evaluation.annotators.raters import RatedImage, Rating
from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.defects import MATCH_IOU
from blemish.evaluation.matching import iou_matrix, match
from blemish.evaluation.predictions.drawing import numbered

VERDICTS = ("clean", "defective")
UNMARKED = "not marked"


@dataclass(frozen=True)
class CategoryAgreement:
    """Agreement of both raters in categories. counts: [K, K], the first rater's down, by `names`"""

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    kappa: Kappa

    def to_json(self) -> dict[str, Any]:
        return {**self.kappa.to_json(), "table": as_mapping(self.names, self.counts)}


@dataclass(frozen=True)
class Places:
    """Agreement on places, in images whose marks all have places.

    met: of all places that either rater marked, those that both did (IoU of `MATCH_IOU` or more, one to one)
    iou: of these, in [0, 1]; same_kind: those of the same class; by_pixels: True where outlines were compared
    names, counts: class that the first (down) and second (across) gave each place, the last being `UNMARKED`
    """

    met: ProportionBound
    iou: tuple[float, ...]
    same_kind: ProportionBound
    by_pixels: bool
    names: tuple[str, ...]
    counts: NDArray[np.int64]

    def to_json(self) -> dict[str, Any]:
        low, middle = (
            (float(np.quantile(self.iou, share)) for share in (0.1, 0.5)) if self.iou else (None, None)
        )
        return {
            "places_of_both": self.met.to_json(),
            "pairs": len(self.iou),
            "iou": {"median": middle, "tenth": low, "of": "outlines" if self.by_pixels else "boxes"},
            "same_kind": self.same_kind.to_json(),
            "table": as_mapping(self.names, self.counts),
        }


@dataclass(frozen=True)
class Difference:
    """An image on which both raters differ. level: 0 verdict, 1 class, 2 place; sentence: how they differ"""

    image: RatedImage
    level: int
    sentence: str


@dataclass(frozen=True)
class Study:
    """Study of two raters.

    first, second: their names; images: number that both judged; alone: number that only one judged
    kinds: by class, agreement on its presence
    """

    first: str
    second: str
    images: int
    alone: int
    verdict: CategoryAgreement
    classes: CategoryAgreement
    kinds: Mapping[str, Kappa]
    places: Places | None
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "raters": [self.first, self.second],
            "images": self.images,
            "only_one": self.alone,
            "verdict": self.verdict.to_json(),
            "classes": self.classes.to_json(),
            "each_class": {name: kappa.to_json() for name, kappa in self.kinds.items()},
            "places": None if self.places is None else self.places.to_json(),
            "differences": [
                {
                    "image": difference.image.sample.id,
                    "level": ("verdict", "kind", "place")[difference.level],
                    "how": difference.sentence,
                }
                for difference in self.differences
            ],
        }


def study(images: Sequence[RatedImage], *, first: str, second: str, alone: int = 0) -> Study:
    """Study of the images that both raters judged. first, second: names of the raters; alone: see `Study`"""
    ratings = [rating for image in images for rating in (image.first, image.second)]
    labels = sorted({label for rating in ratings for label in rating.labels})
    categories = sorted({rating.category for rating in ratings} - {"clean"})
    kinds = {}
    for name in labels:
        kinds[name] = category_agreement(images, ("no", "yes"), partial(has_label, name)).kappa
    found = [difference for image in images if (difference := differing(image, first, second)) is not None]
    return Study(
        first=first,
        second=second,
        images=len(images),
        alone=alone,
        verdict=category_agreement(images, VERDICTS, lambda rating: bool(rating.labels)),
        classes=category_agreement(
            images, names := ("clean", *categories), lambda rating: names.index(rating.category)
        ),
        kinds=kinds,
        places=places(images),
        differences=tuple(sorted(found, key=lambda each: (each.level, each.image.sample.id))),
    )


def has_label(name: str, rating: Rating) -> bool:
    """True for a rating that names the class."""
    return name in rating.labels


def as_mapping(names: Sequence[str], counts: NDArray[np.int64]) -> dict[str, dict[str, int]]:
    """A table [K, K] as the first rater's category → the second's → count."""
    rows = counts.tolist()
    return {name: dict(zip(names, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def category_agreement(
    images: Sequence[RatedImage], names: Sequence[str], number_of: Callable[[Rating], int]
) -> CategoryAgreement:
    """Agreement of all images in categories. number_of: a rating to the number of its category in `names`"""
    of_first = [names[number_of(image.first)] for image in images]
    counts = table_of(of_first, [names[number_of(image.second)] for image in images], names)
    return CategoryAgreement(tuple(names), counts, kappa_of(counts))


def places(images: Sequence[RatedImage]) -> Places | None:
    """Agreement on places; None where nobody marked a place in an image that both placed."""
    placed = [image for image in images if image.first.placed and image.second.placed]
    if not any(image.first.marks or image.second.marks for image in placed):
        return None
    pairs = [pair for image in placed for pair in paired(image)]
    marked = {name for first, second, _ in pairs for name in (first, second)} - {UNMARKED}
    names = (*sorted(marked), UNMARKED)
    joint = [(first, second, iou) for first, second, iou in pairs if UNMARKED not in (first, second)]
    return Places(
        met=proportion_bound(len(joint), len(pairs)),
        iou=tuple(iou for *_, iou in joint),
        same_kind=proportion_bound(sum(first == second for first, second, _ in joint), len(joint)),
        by_pixels=all(image.first.outlined and image.second.outlined for image in placed),
        names=names,
        counts=table_of([first for first, _, _ in pairs], [second for _, second, _ in pairs], names),
    )


def paired(image: RatedImage) -> list[tuple[str, str, float]]:
    """Places that either rater marked: class by the first, class by the second, and IoU of the marks."""
    ious = overlaps(image)
    pairs = met(ious)
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    first, second = image.first.marks, image.second.marks
    found = [(first[row].label, second[column].label, float(ious[row, column])) for row, column in pairs]
    found += [(mark.label, UNMARKED, 0.0) for row, mark in enumerate(first) if row not in rows]
    found += [(UNMARKED, mark.label, 0.0) for column, mark in enumerate(second) if column not in columns]
    return found


def overlaps(image: RatedImage) -> NDArray[np.float32]:
    """IoU of the raters' marks, [N, M]: on pixels where all have some, else on boxes."""
    pixels = image.first.outlined and image.second.outlined
    boxes = [mark.box_xyxy for mark in image.second.marks]
    found_map = numbered(image.second.marks, image.size) if pixels else None
    return iou_matrix(image.first.marks, boxes, found_map)


def met(ious: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs of marks that match one to one, the best overlaps first. ious: [N, M]"""
    return match(ious, [1.0] * ious.shape[1], threshold=MATCH_IOU)


def differing(image: RatedImage, first: str, second: str) -> Difference | None:
    """Difference of the raters in verdict, else in class, else in places; None where they agree."""
    sentence = f"{first}: {image.first.category}; {second}: {image.second.category}."
    if bool(image.first.labels) != bool(image.second.labels):
        return Difference(image, 0, sentence)
    if image.first.labels != image.second.labels:
        return Difference(image, 1, sentence)
    if not (image.first.placed and image.second.placed):
        return None
    pairs = len(met(overlaps(image)))
    alone = len(image.first.marks) - pairs, len(image.second.marks) - pairs
    if not any(alone):
        return None
    common = f"{pairs} place{'' if pairs == 1 else 's'}"
    return Difference(
        image, 2, f"{common} in common; {alone[0]} marked by {first} only, {alone[1]} by {second} only."
    )
