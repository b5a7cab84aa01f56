"""Curves in a bundle's manifest that the report draws, checked when they are read.

A manifest's `curves` is open to any method; entries that the report does not draw are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from blemish.bundle.curves import StoredLosses, StoredRegionChoice, StoredSweep
from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Manifest
from blemish.errors import BlemishError
from blemish.evaluation.curves import threshold_curve
from blemish.evaluation.records import Curve, Surface
from blemish.evaluation.sweep import Sweep

SWEEP_TITLE = "Threshold on the map, as chosen on the validation images"
PIXEL_THRESHOLDS = "severity", "probability"  # names in a manifest's thresholds, by method
Checked = TypeVar("Checked")


def threshold_sweep(manifest: Manifest, bundle: Path) -> Curve | None:
    """Curve of the sweep that the threshold was chosen by; None where the method made none.

    Raises BlemishError for a `threshold_sweep` that is no such sweep; bundle: its path, for the message
    """
    stored = manifest.curves.get("threshold_sweep")
    if stored is None:
        return None
    sweep = checked(TypeAdapter(StoredSweep), stored, place=f"{bundle}: curves.threshold_sweep")
    own = next((manifest.thresholds[name] for name in PIXEL_THRESHOLDS if name in manifest.thresholds), None)
    return replace(threshold_curve(Sweep(**sweep.model_dump()), chosen=own), title=SWEEP_TITLE)


def region_choice(manifest: Manifest, bundle: Path) -> tuple[Surface, Curve] | None:
    """Region F1 over the thresholds that regions start at and grow to, and over the least area.

    None where these were not chosen by it. Raises as `threshold_sweep` does.
    """
    stored = manifest.curves.get("region_choice")
    if stored is None:
        return None
    choice = checked(TypeAdapter(StoredRegionChoice), stored, place=f"{bundle}: curves.region_choice")
    at = choice.levels.index(choice.grow), choice.levels.index(choice.start)
    surface = Surface(
        f"Region F1 at a least area of {choice.min_area:g} px",
        "regions start at T_high",
        "and grow to T_low",
        choice.levels,
        choice.levels,
        choice.f1,
        marked=at,
    )
    line = {"region F1": choice.f1_of_areas}
    areas = Curve(
        "Region F1 by least area", "least area, px", "region F1", choice.areas, line, choice.min_area
    )
    return surface, areas


def regions_in_words(manifest: Manifest) -> tuple[str, ...]:
    """Sentence on where the bundle's regions start, how far they grow, and how small they may be.

    Empty for a bundle without regions.
    """
    stored = manifest.thresholds
    name = next((name for name in PIXEL_THRESHOLDS if name in stored), None)
    if name is None:
        return ()
    grow = stored[name]
    start, least = stored.get("start", grow), stored.get("min_area", manifest.settings.get("min_area", 0.0))
    reach = (
        f"start at {name} {start:.3g} and grow to {grow:.3g}" if start > grow else f"reach {name} {grow:.3g}"
    )
    area = f" and have at least {least:g} px" if least else ""
    return (f"Regions {reach}{area}.",)


def training_curve(manifest: Manifest, bundle: Path) -> Curve | None:
    """Losses of the first stage against its steps; None without any. Raises as `threshold_sweep` does."""
    for name, losses in training_losses(manifest, bundle).items():
        return Curve("Training", "step", "loss", losses.step, {f"{name} loss": losses.loss})
    return None


def training_losses(manifest: Manifest, bundle: Path) -> Mapping[str, StoredLosses]:
    """Losses by stage; none where none are stored. Raises as `threshold_sweep` does."""
    stored = manifest.curves.get("training", {})
    return checked(TypeAdapter(dict[str, StoredLosses]), stored, place=f"{bundle}: curves.training")


def checked(kind: TypeAdapter[Checked], stored: Any, *, place: str) -> Checked:
    """Stored data as their type. Raises BlemishError that begins with `place`."""
    try:
        return kind.validate_python(stored)
    except ValidationError as error:
        raise BlemishError(f"{place}: {first_fault(error, {})} Train it again.") from error
