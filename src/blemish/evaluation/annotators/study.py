"""The study of two raters: verdicts, kinds and places, and the pictures on which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.evaluation.annotators.kappa import Kappa, kappa_of, table_of
from blemish.evaluation.annotators.raters import RatedImage, Rating
from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.defects import MATCH_IOU, iou_matrix, match
from blemish.evaluation.predictions.drawing import numbered

VERDICTS = ("clean", "defective")
UNMARKED = "not marked"


@dataclass(frozen=True)
class CategoryAgreement:
    """One question put to both raters. counts: [K, K], `one` down, `other` across, by `names`"""

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    kappa: Kappa

    def to_json(self) -> dict[str, Any]:
        return {**self.kappa.to_json(), "table": as_mapping(self.names, self.counts)}


@dataclass(frozen=True)
class Places:
    """Marked defects of pictures whose marks all have places.

    met: of all places that either marked, those that both did (IoU of `MATCH_IOU` or more, one to one)
    iou: of these, in [0, 1]; same_kind: how many have one name; by_pixels: whether outlines were compared
    names, counts: what `one` (down) and `other` (across) called each place, the last being `UNMARKED`
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
    """One picture on which both differ. level: 0 verdict, 1 kind, 2 place; sentence: how"""

    both: RatedImage
    level: int
    sentence: str


@dataclass(frozen=True)
class Study:
    """Everything about two raters. kinds: of each class, whether it is seen; alone: pictures of one only"""

    one: str
    other: str
    images: int
    alone: int
    verdict: CategoryAgreement
    classes: CategoryAgreement
    kinds: Mapping[str, Kappa]
    places: Places | None
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "raters": [self.one, self.other],
            "images": self.images,
            "only_one": self.alone,
            "verdict": self.verdict.to_json(),
            "classes": self.classes.to_json(),
            "each_class": {name: kappa.to_json() for name, kappa in self.kinds.items()},
            "places": None if self.places is None else self.places.to_json(),
            "differences": [
                {
                    "image": one.both.sample.id,
                    "level": ("verdict", "kind", "place")[one.level],
                    "how": one.sentence,
                }
                for one in self.differences
            ],
        }


def study(pictures: Sequence[RatedImage], *, one: str, other: str, alone: int = 0) -> Study:
    """The agreement on pictures that both judged. one, other: names of the raters"""
    labels = sorted({label for both in pictures for label in both.one.labels | both.other.labels})
    categories = sorted(
        {rating.category for both in pictures for rating in (both.one, both.other)} - {"clean"}
    )
    return Study(
        one=one,
        other=other,
        images=len(pictures),
        alone=alone,
        verdict=level(pictures, VERDICTS, verdict_of),
        classes=level(pictures, ("clean", *categories), lambda rating: rating.category),
        kinds={name: level(pictures, ("no", "yes"), seen(name)).kappa for name in labels},
        places=places(pictures),
        differences=tuple(differences(pictures, one, other)),
    )


def as_mapping(names: Sequence[str], counts: NDArray[np.int64]) -> dict[str, dict[str, int]]:
    """A table [K, K] as one's answer → the other's → how often."""
    rows = counts.tolist()
    return {name: dict(zip(names, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def verdict_of(rating: Rating) -> str:
    return VERDICTS[bool(rating.labels)]


def seen(name: str) -> Any:
    return lambda rating: "yes" if name in rating.labels else "no"


def level(pictures: Sequence[RatedImage], names: Sequence[str], ask: Any) -> CategoryAgreement:
    """One question of all pictures. ask: a rating to one of the names"""
    counts = table_of([ask(both.one) for both in pictures], [ask(both.other) for both in pictures], names)
    return CategoryAgreement(tuple(names), counts, kappa_of(counts))


def places(pictures: Sequence[RatedImage]) -> Places | None:
    """How marks agree; None where nobody marked a place on a picture that both placed."""
    placed = [both for both in pictures if both.one.placed and both.other.placed]
    if not any(both.one.marks or both.other.marks for both in placed):
        return None
    pairs = [pair for both in placed for pair in paired(both)]
    names = (*sorted({name for one, other, _ in pairs for name in (one, other)} - {UNMARKED}), UNMARKED)
    joint = [(one, other, iou) for one, other, iou in pairs if UNMARKED not in (one, other)]
    return Places(
        met=proportion_bound(len(joint), len(pairs)),
        iou=tuple(iou for *_, iou in joint),
        same_kind=proportion_bound(sum(one == other for one, other, _ in joint), len(joint)),
        by_pixels=all(both.one.outlined and both.other.outlined for both in placed),
        names=names,
        counts=table_of([one for one, _, _ in pairs], [other for _, other, _ in pairs], names),
    )


def paired(both: RatedImage) -> list[tuple[str, str, float]]:
    """What each rater called every place that either marked, and the IoU of their marks."""
    ious = overlaps(both)
    pairs = met(ious)
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    one, other = both.one.marks, both.other.marks
    found = [(one[row].label, other[column].label, float(ious[row, column])) for row, column in pairs]
    found += [(mark.label, UNMARKED, 0.0) for row, mark in enumerate(one) if row not in rows]
    found += [(UNMARKED, mark.label, 0.0) for column, mark in enumerate(other) if column not in columns]
    return found


def overlaps(both: RatedImage) -> NDArray[np.float32]:
    """IoU of one's marks [N] with the other's [M]: on pixels where all have some, else on boxes."""
    pixels = both.one.outlined and both.other.outlined
    boxes = [mark.box_xyxy for mark in both.other.marks]
    return iou_matrix(both.one.marks, boxes, numbered(both.other.marks, both.size) if pixels else None)


def met(ious: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Marks that belong together, each once, the best overlaps first."""
    return match(ious, [1.0] * ious.shape[1], threshold=MATCH_IOU)


def differences(pictures: Sequence[RatedImage], one: str, other: str) -> list[Difference]:
    """Verdicts first, then kinds, then places."""
    found = [difference for both in pictures if (difference := differing(both, one, other)) is not None]
    return sorted(found, key=lambda difference: (difference.level, difference.both.sample.id))


def differing(both: RatedImage, one: str, other: str) -> Difference | None:
    said = f"{one}: {both.one.category}; {other}: {both.other.category}."
    if bool(both.one.labels) != bool(both.other.labels):
        return Difference(both, 0, said)
    if both.one.labels != both.other.labels:
        return Difference(both, 1, said)
    if not (both.one.placed and both.other.placed):
        return None
    pairs = len(met(overlaps(both)))
    alone = len(both.one.marks) - pairs, len(both.other.marks) - pairs
    if not any(alone):
        return None
    return Difference(both, 2, f"{pairs} places in common; only {one}: {alone[0]}, only {other}: {alone[1]}.")
