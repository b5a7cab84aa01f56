"""The study of two raters: verdicts, kinds and places, and the pictures on which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.evaluation.agree.kappa import Kappa, kappa_of, table_of
from blemish.evaluation.agree.raters import Both, Rating
from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.defects import MATCH_IOU, iou_matrix, match
from blemish.evaluation.predictions.drawing import numbered

VERDICTS = ("clean", "defective")


@dataclass(frozen=True)
class Level:
    """One question put to both raters. counts: [K, K], `one` down, `other` across, by `names`"""

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    kappa: Kappa

    def to_json(self) -> dict[str, Any]:
        table = {
            name: dict(zip(self.names, row, strict=True))
            for name, row in zip(self.names, self.counts.tolist(), strict=True)
        }
        return {**self.kappa.to_json(), "table": table}


@dataclass(frozen=True)
class Places:
    """Marked defects of pictures whose marks all have places.

    met: of all places that either marked, those that both did (IoU of `MATCH_IOU` or more, one to one)
    iou: of these, in [0, 1]; same_kind: how many have one name; by_pixels: whether outlines were compared
    """

    met: ProportionBound
    iou: tuple[float, ...]
    same_kind: ProportionBound
    by_pixels: bool

    def to_json(self) -> dict[str, Any]:
        low, middle = (
            (float(np.quantile(self.iou, share)) for share in (0.1, 0.5)) if self.iou else (None, None)
        )
        return {
            "places_of_both": self.met.to_json(),
            "pairs": len(self.iou),
            "iou": {"median": middle, "tenth": low, "of": "outlines" if self.by_pixels else "boxes"},
            "same_kind": self.same_kind.to_json(),
        }


@dataclass(frozen=True)
class Difference:
    """One picture on which both differ. level: 0 verdict, 1 kind, 2 place; sentence: how"""

    both: Both
    level: int
    sentence: str


@dataclass(frozen=True)
class Study:
    """Everything about two raters. kinds: of each class, whether it is seen; alone: pictures of one only"""

    one: str
    other: str
    images: int
    alone: int
    verdict: Level
    classes: Level
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


def study(pictures: Sequence[Both], *, one: str, other: str, alone: int = 0) -> Study:
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


def verdict_of(rating: Rating) -> str:
    return VERDICTS[bool(rating.labels)]


def seen(name: str) -> Any:
    return lambda rating: "yes" if name in rating.labels else "no"


def level(pictures: Sequence[Both], names: Sequence[str], ask: Any) -> Level:
    """One question of all pictures. ask: a rating to one of the names"""
    counts = table_of([ask(both.one) for both in pictures], [ask(both.other) for both in pictures], names)
    return Level(tuple(names), counts, kappa_of(counts))


def places(pictures: Sequence[Both]) -> Places | None:
    """How marks agree; None where nobody marked a place on a picture that both placed."""
    placed = [both for both in pictures if both.one.placed and both.other.placed]
    marks = sum(len(both.one.marks) + len(both.other.marks) for both in placed)
    if not marks:
        return None
    found = [(both, overlaps(both)) for both in placed]
    pairs = [(both, row, column, ious[row, column]) for both, ious in found for row, column in met(ious)]
    same = sum(both.one.marks[row].label == both.other.marks[column].label for both, row, column, _ in pairs)
    return Places(
        met=proportion_bound(len(pairs), marks - len(pairs)),
        iou=tuple(float(iou) for *_, iou in pairs),
        same_kind=proportion_bound(same, len(pairs)),
        by_pixels=all(both.one.outlined and both.other.outlined for both in placed),
    )


def overlaps(both: Both) -> NDArray[np.float32]:
    """IoU of one's marks [N] with the other's [M]: on pixels where all have some, else on boxes."""
    pixels = both.one.outlined and both.other.outlined
    boxes = [mark.box_xyxy for mark in both.other.marks]
    return iou_matrix(both.one.marks, boxes, numbered(both.other.marks, both.size) if pixels else None)


def met(ious: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Marks that belong together, each once, the best overlaps first."""
    return match(ious, [1.0] * ious.shape[1], threshold=MATCH_IOU)


def differences(pictures: Sequence[Both], one: str, other: str) -> list[Difference]:
    """Verdicts first, then kinds, then places."""
    found = [difference for both in pictures if (difference := differing(both, one, other)) is not None]
    return sorted(found, key=lambda difference: (difference.level, difference.both.sample.id))


def differing(both: Both, one: str, other: str) -> Difference | None:
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
