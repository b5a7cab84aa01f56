"""Part of a check that compares images with each other: near duplicates and lots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.dataset.quality.check_image import ImageFinding
from blemish.dataset.quality.near_duplicates import near_duplicates
from blemish.dataset.quality.problems import WARNING, Problem
from blemish.dataset.samples import Dataset, Sample, count

SHOWN = 3  # of a list in one line


@dataclass(frozen=True)
class AlikePair:
    """Two images that are nearly the same, of different pixels. peak: confidence in that, in [0, 1]"""

    first: Sample
    second: Sample
    peak: float

    @property
    def splits(self) -> tuple[str, str]:
        return self.first.split or "", self.second.split or ""

    @property
    def labels(self) -> tuple[str, str]:
        return marked_as(self.first), marked_as(self.second)

    @property
    def torn(self) -> bool:
        """True where the two lie in different splits."""
        return "" not in self.splits and len(set(self.splits)) > 1

    def to_json(self) -> dict[str, Any]:
        return {
            "images": [self.first.id, self.second.id],
            "splits": list(self.splits),
            "labels": list(self.labels),
            "peak": round(self.peak, 3),
        }


def marked_as(sample: Sample) -> str:
    return listing(sorted({annotation.label for annotation in sample.annotations})) or "clean"


def alike(findings: Sequence[ImageFinding]) -> tuple[AlikePair, ...]:
    """Pairs of near duplicates, the most confident first, without pairs of equal pixels."""
    read = [finding for finding in findings if finding.small is not None]
    pairs = near_duplicates([finding.small for finding in read if finding.small is not None])
    both = ((read[pair.first], read[pair.second], pair.peak) for pair in pairs)
    return tuple(AlikePair(a.sample, b.sample, peak) for a, b, peak in both if a.content != b.content)


def alike_problems(pairs: Sequence[AlikePair]) -> Iterator[Problem]:
    """At most three problems: pairs torn by a split, pairs that a split may tear, contradicting marks."""
    torn = [pair for pair in pairs if pair.torn]
    if torn:
        yield Problem(
            WARNING,
            f"{pairs_text(torn)} nearly the same (stored again, shifted, brighter or darker) and in several "
            "splits: figures would be too good. Split again: blemish data split DATA OUT --by similarity.",
        )
    unsplit = [
        pair
        for pair in pairs
        if pair.splits == ("", "") and (pair.first.group is None or pair.first.group != pair.second.group)
    ]
    if unsplit:
        yield Problem(
            WARNING,
            f"{pairs_text(unsplit)} nearly the same (stored again, shifted, brighter or darker): a split may "
            "tear them apart. Split with: blemish data split DATA OUT --by similarity.",
        )
    contrary = [pair for pair in pairs if len(set(pair.labels)) > 1]
    if contrary:
        first = contrary[0]
        yield Problem(
            WARNING,
            f"{pairs_text(contrary)} nearly the same but marked differently, the first as "
            f"{first.labels[0]} and {first.labels[1]}. Decide which is right.",
        )


def pairs_text(pairs: Sequence[AlikePair]) -> str:
    """Subject and verb of a sentence, such as '2 pairs of images (a and b, c and d) are'."""
    names = listing([f"{pair.first.id} and {pair.second.id}" for pair in pairs])
    return (
        f"1 pair of images ({names}) is" if len(pairs) == 1 else f"{len(pairs)} pairs of images ({names}) are"
    )


def lots(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Group → its number of images, and how many of them show each class; empty without groups."""
    members: dict[str, list[Sample]] = {}
    for sample in dataset:
        if sample.group is not None:
            members.setdefault(sample.group, []).append(sample)
    return {
        group: {
            "images": len(samples),
            "classes": count(label for s in samples for label in {a.label for a in s.annotations}),
        }
        for group, samples in members.items()
    }


def lot_problems(groups: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Problems of classes that only one of several groups shows."""
    if len(groups) < 2:
        return
    seen: dict[str, list[str]] = {}
    for group, held in groups.items():
        for label in held["classes"]:
            seen.setdefault(label, []).append(group)
    for label, where in seen.items():
        if len(where) == 1:
            yield Problem(
                WARNING,
                f"class '{label}' is seen in group '{where[0]}' alone, of {len(groups)}: whatever else is "
                "particular to that group is learned with it, and no split by group can test it. Add "
                "examples from another group.",
                "class-of-one-group",
            )


def listing(names: Sequence[str], *, shown: int = SHOWN) -> str:
    """The first names and how many more there are, such as 'a, b, c and 4 more'."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
