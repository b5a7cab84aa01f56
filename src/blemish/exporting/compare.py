"""Two answers on one image, torch's and the exported bundle's: how far they are apart.

A pixel whose severity differs by no more than scores may, and by which it lies on the other side of the
threshold, is on neither side to blame; nor is a defect that gains or loses it. Such defects are counted
apart, as verdicts are where the score lies that near a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.inspection import Inspection, Verdict
from blemish.inspector.inspector import Inspector
from blemish.regions.boxes import box_iou

NEAR = 8  # pixels around a defect within which a pixel on the threshold may change it


@dataclass(frozen=True)
class Tolerances:
    """What both sides may differ by.

    score: also of confidences, of severities as a share of their top, and the band around a threshold
    box_iou: the least; area_ratio: of the larger area
    """

    score: float
    box_iou: float
    area_ratio: float

    @property
    def limits(self) -> dict[str, float]:
        """The largest value of each measure of a `Comparison`."""
        return {
            "errors": 0,
            "score": self.score,
            "severity": self.score,
            "verdict": 0,
            "defects": 0,
            "box": round(1 - self.box_iou, 6),
            "area": self.area_ratio,
            "label": 0,
            "confidence": self.score,
        }


@dataclass(frozen=True)
class Comparison:
    """One image's measures by name, see `docs/export.md`.

    defects: how many pairs were compared; on_threshold: defects left out, see the file's header
    in_band: whether verdicts differ and may
    """

    measures: dict[str, float]
    defects: int = 0
    on_threshold: int = 0
    in_band: bool = False


@dataclass
class DefectPairs:
    """Defects of both sides that are one, and those of either that are not."""

    both: list[tuple[Defect, Defect]] = field(default_factory=list)
    alone: list[Defect] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.both) + len(self.alone)

    def without(self, edge: NDArray[np.bool_] | None) -> DefectPairs:
        """Those of which no side touches a pixel of `edge`."""
        clear = [pair for pair in self.both if not any(touches(one, edge) for one in pair)]
        return DefectPairs(clear, [one for one in self.alone if not touches(one, edge)])


def compare(
    torch: Inspection, exported: Inspection, inspector: Inspector, tolerances: Tolerances
) -> Comparison:
    """How far two inspections with maps are apart. inspector: either side's, for thresholds"""
    if Verdict.ERROR in (torch.verdict, exported.verdict):
        return Comparison({"errors": 1.0})
    assert torch.score is not None and exported.score is not None
    pairs = paired(torch.defects, exported.defects)
    clear = pairs.without(straddling(torch, exported, inspector, tolerances.score))
    left_out = len(pairs) - len(clear)
    ignored = inspector.decision is not None and left_out > 0  # its rules may see the one and not the other
    excused = ignored or may_differ(torch.score, inspector, tolerances.score)
    differs = torch.verdict is not exported.verdict
    measures = {
        "errors": 0.0,
        "score": abs(torch.score - exported.score),
        "severity": severity_gap(torch, exported, inspector),
        "verdict": float(differs and not excused),
        "defects": float(len(clear.alone)),
        **pair_measures(clear.both, tolerances.score),
    }
    return Comparison(measures, len(clear.both), left_out, differs and excused)


def pair_measures(pairs: Sequence[tuple[Defect, Defect]], band: float) -> dict[str, float]:
    """The worst of each; a defect as sure of another name is on neither side wrong."""
    gaps = [abs(one.confidence - other.confidence) for one, other in pairs]
    renamed = [one.label != other.label for one, other in pairs]
    return {
        "box": max((1 - overlap(one, other) for one, other in pairs), default=0.0),
        "area": max((area_gap(one, other) for one, other in pairs), default=0.0),
        "label": float(sum(new and gap > band for new, gap in zip(renamed, gaps, strict=True))),
        "confidence": max(gaps, default=0.0),
    }


def paired(first: Sequence[Defect], second: Sequence[Defect]) -> DefectPairs:
    """One to one by falling overlap of their boxes; what overlaps nothing stays alone."""
    ious = box_iou(corners(first), corners(second))
    pairs = DefectPairs()
    taken: tuple[set[int], set[int]] = set(), set()
    for flat in np.argsort(-ious, axis=None, kind="stable"):
        row, column = divmod(int(flat), max(1, len(second)))
        if ious[row, column] > 0 and row not in taken[0] and column not in taken[1]:
            pairs.both.append((first[row], second[column]))
            taken[0].add(row)
            taken[1].add(column)
    for defects, done in zip((first, second), taken, strict=True):
        pairs.alone += [defect for number, defect in enumerate(defects) if number not in done]
    return pairs


def corners(defects: Sequence[Defect]) -> NDArray[np.float64]:
    return np.array([defect.box_xyxy for defect in defects], np.float64).reshape(-1, 4)


def overlap(one: Defect, other: Defect) -> float:
    return float(box_iou(corners([one]), corners([other]))[0, 0])


def area_gap(one: Defect, other: Defect) -> float:
    larger = max(one.area, other.area)
    return abs(one.area - other.area) / larger if larger > 0 else 0.0


def severity_gap(torch: Inspection, exported: Inspection, inspector: Inspector) -> float:
    """The greatest difference of the maps "score_map", as a share of their top; 0 where there are none."""
    top = inspector.inference.score_map_max
    if top is None:
        return 0.0
    difference = np.abs(severity_of(torch) - severity_of(exported))
    return float(difference.max(initial=0.0)) / top


def straddling(
    torch: Inspection, exported: Inspection, inspector: Inspector, band: float
) -> NDArray[np.bool_] | None:
    """Pixels [H, W] on the two sides of the threshold within the band; None where there are no severities."""
    threshold, top = inspector.inference.pixel_threshold, inspector.inference.score_map_max
    if threshold is None or top is None:
        return None
    first, second = severity_of(torch), severity_of(exported)
    apart = (first >= threshold) != (second >= threshold)
    return np.asarray(apart & (np.abs(first - second) <= band * top))


def severity_of(inspection: Inspection) -> NDArray[np.float32]:
    """Its map, which a method with a top of severities gives. [H, W]"""
    return inspection.maps["score_map"].astype(np.float32, copy=False)


def touches(defect: Defect, edge: NDArray[np.bool_] | None) -> bool:
    """Whether a pixel of `edge` lies in or near the defect's box."""
    if edge is None:
        return False
    left, top, right, bottom = (round(side) for side in defect.box_xyxy)
    return bool(edge[max(0, top - NEAR) : bottom + NEAR, max(0, left - NEAR) : right + NEAR].any())


def may_differ(score: float, inspector: Inspector, band: float) -> bool:
    """Whether a score lies within the band around a threshold that the verdict follows from."""
    return any(abs(score - threshold) <= band for threshold in thresholds(inspector))


def thresholds(inspector: Inspector) -> Iterator[float]:
    """The decision's, on scores and confidences, or the bundle's own."""
    if inspector.decision is None:
        yield from (inspector.review, inspector.ng)
        return
    for rule in (inspector.decision.score, *inspector.decision.classes.values()):
        yield from (value for value in (rule.review, rule.ng) if value is not None)
