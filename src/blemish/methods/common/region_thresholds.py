"""Thresholds of the regions of a map: chosen on validation images or set by hand, and kept in a bundle.

A region starts where the map reaches `start`, grows over what is connected to it and reaches `grow`, and has
at least `min_area` pixels; see `regions.region.regions_above`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from blemish.methods.common.map_score import MapAndMask
from blemish.methods.contract import RegionSweep, RegionThresholds, SweptCurves, Trainer

START, MIN_AREA = "start", "min_area"  # in `Manifest.thresholds`, where they were chosen or set
REGION_F1, PIXEL_F1 = "region-f1", "pixel-f1"


class ThresholdSettings(Protocol):
    """Settings that thresholds of regions are chosen by; see the settings of severity and CASAE."""

    @property
    def threshold(self) -> float | None: ...
    @property
    def start_threshold(self) -> float | None: ...
    @property
    def threshold_criterion(self) -> str: ...
    @property
    def min_area(self) -> float: ...


@dataclass(frozen=True)
class ChosenThresholds:
    """Thresholds of regions, and the curves that they were chosen by."""

    thresholds: RegionThresholds
    curves: SweptCurves


def chosen_thresholds(
    settings: ThresholdSettings,
    trainer: Trainer,
    maps: Callable[[RegionSweep | None], Iterable[MapAndMask]],
    *,
    max_threshold: float,
) -> ChosenThresholds:
    """Choose by the criterion on validation images; what is set is taken as it is.

    maps: maps and true masks [H, W] of the validation images, whose regions the sweep is given, if any
    """
    by_region = settings.threshold_criterion == REGION_F1
    regions = None
    if by_region and settings.threshold is None:
        regions = trainer.region_sweep(max_threshold, min_area=settings.min_area)
    sweep = trainer.sweep(
        maps(regions),
        max_threshold=max_threshold,
        criterion=PIXEL_F1 if by_region else settings.threshold_criterion,
    )
    if regions is not None and not regions.no_choice:
        choice = regions.choose()
        for note in choice.notes:
            trainer.note(note)
        return ChosenThresholds(choice.thresholds, SweptCurves.of(sweep, choice))
    if regions is not None:
        trainer.note(regions.no_choice)
    grow = settings.threshold or sweep.best
    set_by_hand = RegionThresholds(grow, settings.start_threshold or grow, settings.min_area)
    return ChosenThresholds(set_by_hand, SweptCurves.of(sweep))


def stored(name: str, thresholds: RegionThresholds, settings: ThresholdSettings) -> dict[str, float]:
    """Thresholds as a manifest keeps them: those that neither T_low nor the settings say. name: of T_low"""
    start = {START: thresholds.start} if thresholds.start > thresholds.grow else {}
    min_area = {MIN_AREA: thresholds.min_area} if thresholds.min_area != settings.min_area else {}
    return {name: thresholds.grow, **start, **min_area}


def region_thresholds(stored: Mapping[str, float]) -> dict[str, float]:
    """Arguments `start_threshold` and `min_area` of an inference half, those that a manifest has.

    stored: `Manifest.thresholds`; a bundle with a single threshold has neither
    """
    names = {START: "start_threshold", MIN_AREA: "min_area"}
    return {argument: stored[name] for name, argument in names.items() if name in stored}


def refuse_low_start(start: float | None, threshold: float | None) -> None:
    """Raise ValueError for a start threshold that has no threshold to grow to, or one above itself."""
    if start is None:
        return
    if threshold is None:
        raise ValueError(
            f"start_threshold must be given with threshold. Received: {start:g} alone. Give both, or leave "
            "both to the validation images."
        )
    if start < threshold:
        raise ValueError(
            f"start_threshold must be at least threshold={threshold:g}, as defects start there and grow down "
            f"to it. Received: {start:g}. Swap the two."
        )
