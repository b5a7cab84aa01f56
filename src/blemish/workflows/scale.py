"""The scale of images: given by the user, or stored in the decision, the bundle or dataset.yaml."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.decision.store import stored_decision
from blemish.errors import WrongUseError
from blemish.images.calibration_target import Scale, measure_scale
from blemish.images.decode import read_image
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of


def checked_scale(mm_per_px: float | None) -> float | None:
    """Check a scale in mm per px and return it. Raises WrongUseError unless it is finite and above 0."""
    if mm_per_px is not None and not (math.isfinite(mm_per_px) and mm_per_px > 0):
        raise WrongUseError(
            f"--mm-per-px must be a finite number above 0. Received: {mm_per_px:g}. "
            "Measure it with `blemish data scale`."
        )
    return mm_per_px


def inspector_in_scale(
    loaded: Bundle,
    dataset: Dataset,
    *,
    device: str,
    mm_per_px: float | None,
    decided: bool = True,
    input_check: bool = True,
) -> BundleInspector:
    """Inspector of a bundle; where neither it nor its decision has a scale, the dataset's is taken.

    mm_per_px: the user's, which goes before all others; decided, input_check: see `inspector_of`
    """
    decision = stored_decision(loaded.path, bundle=loaded.id)
    of_decision = decision.mm_per_px if decision else None
    of_dataset = None if loaded.manifest.settings.get("mm_per_px") else dataset.info.get("mm_per_px")
    scale = mm_per_px or of_decision or of_dataset
    return inspector_of(loaded, device=device, mm_per_px=scale, decided=decided, input_check=input_check)


def notes_on_scale(inspector: BundleInspector, dataset: Dataset) -> tuple[str, ...]:
    """Sentence where sizes are measured in another scale than the dataset states for its images."""
    stated = dataset.info.get("mm_per_px")
    if stated is None or inspector.scale is None or math.isclose(stated, inspector.scale, rel_tol=1e-3):
        return ()
    return (
        f"Sizes are measured with {inspector.scale:g} mm per px, but {dataset.root} says {stated:g}. Give "
        f"--mm-per-px {stated:g} if that is right.",
    )


def measure_scale_of(
    image: Path, pattern: Literal["checkerboard", "dots"], *, columns: int, rows: int, pitch_mm: float
) -> Scale:
    """Measure the scale of a camera from an image of a flat target.

    columns, rows: of dots, or of corners where four squares meet; pitch_mm: from one to the next
    Raises WrongUseError for a pitch that is not a finite number above 0, BlemishError for an image without
    the target.
    """
    if not (math.isfinite(pitch_mm) and pitch_mm > 0):
        raise WrongUseError(f"--pitch-mm must be a finite number above 0. Received: {pitch_mm:g}.")
    return measure_scale(
        read_image(image), pattern, columns=columns, rows=rows, pitch_mm=pitch_mm, name=str(image)
    )
