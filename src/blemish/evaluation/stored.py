"""Curves in a bundle's manifest that the report draws, checked when they are read.

A manifest's `curves` is open to any method; entries that the report does not draw are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from blemish.bundle.curves import StoredLosses, StoredSweep
from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Manifest
from blemish.errors import BlemishError
from blemish.evaluation.curves import threshold_curve
from blemish.evaluation.records import Curve
from blemish.evaluation.sweep import Sweep

SWEEP_TITLE = "Threshold on the map, as chosen on the validation images"
Checked = TypeVar("Checked")


def threshold_sweep(manifest: Manifest, bundle: Path) -> Curve | None:
    """Curve of the sweep that the threshold was chosen by; None where the method made none.

    Raises BlemishError for a `threshold_sweep` that is no such sweep; bundle: its path, for the message
    """
    stored = manifest.curves.get("threshold_sweep")
    if stored is None:
        return None
    sweep = checked(TypeAdapter(StoredSweep), stored, place=f"{bundle}: curves.threshold_sweep")
    return replace(threshold_curve(Sweep(**sweep.model_dump())), title=SWEEP_TITLE)


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
