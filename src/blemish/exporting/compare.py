"""Differences between two answers on an image: that of torch and that of the exported bundle.

A pixel may fall on the other side of the threshold though its severity differs by no more than scores may.
That is no fault of either bundle, nor is a defect that gains or loses such a pixel. Those defects are counted
separately, and so are verdicts where the score lies that near a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.inspection import Inspection, Verdict
from blemish.inspector.inspector import BundleInspector
from blemish.regions.boxes import box_iou

NEAR = 8  # pixels around a defect within which a pixel on the threshold may change it


@dataclass(frozen=True)
class Tolerances:
    """Differences allowed between both answers.

    score: also of confidences, of severities as a share of their top, and the band around a threshold
    box_iou: the smallest; area_ratio: of the larger area
    """

    score: float
    box_iou: float
    area_ratio: float

    @property
    def limits(self) -> dict[str, float]:
        """Largest value allowed of each measure of a `Comparison`."""
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
    """Differences on an image by name, see `docs/export.md`.

    defects: number of pairs compared; on_threshold: defects left out, see the file's header
    in_band: True where verdicts differ and may
    """

    measures: dict[str, float]
    defects: int = 0
    on_threshold: int = 0
    in_band: bool = False


@dataclass
class DefectPairs:
    """Defects that both answers have, in pairs, and those that only one of them has."""

    both: list[tuple[Defect, Defect]] = field(default_factory=list)
    alone: list[Defect] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.both) + len(self.alone)

    def without(self, edge: NDArray[np.bool_] | None) -> DefectPairs:
        """The pairs and single defects that touch no pixel of `edge`, [H, W]."""
        clear = [pair for pair in self.both if not any(touches(defect, edge) for defect in pair)]
        return DefectPairs(clear, [defect for defect in self.alone if not touches(defect, edge)])


def compare(
    torch: Inspection, exported: Inspection, inspector: BundleInspector, tolerances: Tolerances
) -> Comparison:
    """Differences between two inspections with maps. inspector: of either bundle, for its thresholds"""
    if Verdict.ERROR in (torch.verdict, exported.verdict):
        return Comparison({"errors": 1.0})
    assert torch.score is not None and exported.score is not None
    pairs = paired(torch.defects, exported.defects)
    clear = pairs.without(straddling(torch, exported, inspector, tolerances.score))
    left_out = len(pairs) - len(clear)
    ignored = inspector.decision is not None and left_out > 0  # its rules may see the one and not the other
    near = any(abs(torch.score - threshold) <= tolerances.score for threshold in thresholds(inspector))
    excused = ignored or near
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
    """Largest difference of the pairs in each measure; another name counts where confidences differ, too."""
    gaps = [abs(first.confidence - second.confidence) for first, second in pairs]
    renamed = [first.label != second.label for first, second in pairs]
    boxes = (box_iou(corners([first]), corners([second]))[0, 0] for first, second in pairs)
    areas = (
        abs(first.area - second.area) / larger
        for first, second in pairs
        if (larger := max(first.area, second.area)) > 0
    )
    return {
        "box": max((1 - float(iou) for iou in boxes), default=0.0),
        "area": max(areas, default=0.0),
        "label": float(sum(new and gap > band for new, gap in zip(renamed, gaps, strict=True))),
        "confidence": max(gaps, default=0.0),
    }


def paired(first: Sequence[Defect], second: Sequence[Defect]) -> DefectPairs:
    """Pair two answers' defects one to one by falling IoU of boxes; those without overlap stay alone."""
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


def severity_gap(torch: Inspection, exported: Inspection, inspector: BundleInspector) -> float:
    """Largest difference of the maps "score_map", as a share of their top; 0 where there are none."""
    top = inspector.inference.score_map_max
    if top is None:
        return 0.0
    difference = np.abs(severity_of(torch) - severity_of(exported))
    return float(difference.max(initial=0.0)) / top


def straddling(
    torch: Inspection, exported: Inspection, inspector: BundleInspector, band: float
) -> NDArray[np.bool_] | None:
    """Mask [H, W] of pixels that differ by at most the band and lie on different sides of a threshold: that
    of pixels, or that of regions.

    None for a method without severities.
    """
    inference = inspector.inference
    top = inference.score_map_max
    both = [each for each in (inference.pixel_threshold, inference.region_threshold) if each is not None]
    if not both or top is None:
        return None
    first, second = severity_of(torch), severity_of(exported)
    apart = np.any([(first >= threshold) != (second >= threshold) for threshold in both], axis=0)
    return np.asarray(apart & (np.abs(first - second) <= band * top))


def severity_of(inspection: Inspection) -> NDArray[np.float32]:
    """Map "score_map" [H, W] as float32, of a method that gives one."""
    return inspection.maps["score_map"].astype(np.float32, copy=False)


def touches(defect: Defect, edge: NDArray[np.bool_] | None) -> bool:
    """True where a pixel of `edge` [H, W] lies in the defect's box or within `NEAR` pixels of it."""
    if edge is None:
        return False
    left, top, right, bottom = (round(side) for side in defect.box_xyxy)
    return bool(edge[max(0, top - NEAR) : bottom + NEAR, max(0, left - NEAR) : right + NEAR].any())


def thresholds(inspector: BundleInspector) -> Iterator[float]:
    """Thresholds of the decision, on scores and confidences; without one, those of the bundle."""
    if inspector.decision is None:
        yield from (inspector.review, inspector.ng)
        return
    for rule in (inspector.decision.score, *inspector.decision.classes.values()):
        yield from (value for value in (rule.review, rule.ng) if value is not None)
