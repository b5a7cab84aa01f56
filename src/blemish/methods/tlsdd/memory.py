"""Memory and curves of a TL-SDD bundle, as its manifest stores them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic import Strict as StrictNumber

from blemish.bundle.manifest import Manifest, Strict
from blemish.methods.contract import Curves, Memory
from blemish.methods.tlsdd.runtime.image_shift import ImageShift


class TlsddMemory(Memory):
    """Classes of a bundle and the boxes that they were learned from.

    common, rare: class names; examples: ids of the boxes in the class bank, by class
    draw: the few boxes of the rare classes, as `dataset.splits.support_sets` writes them; {}: none
    class_shifts: see `TlsddInference.shifts`, by class; 0 where there is none
    background_regions: number of regions behind the background that added classes are told from; 0: none kept
    background_sample: numbers of images and of regions of each that are kept of that background; (): none
    enrolled: names of the classes that were added without training, by rows of their own; the last ones
    image_shift: see `TlsddInference`; with it, an image head is one of the bundle's networks
    """

    common: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    draw: dict[str, Any] = Field(default={})
    examples: dict[str, tuple[str, ...]] = Field(default={})
    class_shifts: dict[str, Annotated[float, StrictNumber()]] = Field(default={})
    background_regions: int = Field(default=0, ge=0)
    background_sample: tuple[int, ...] = ()
    enrolled: tuple[str, ...] = ()
    image_shift: ImageShift | None = None


def image_shift_of(manifest: Manifest) -> ImageShift | None:
    """Shift of a bundle's confidences by its image head; None where it has no head."""
    return TlsddMemory.model_validate(manifest.memory).image_shift


class StoredFindings(BaseModel):
    """Figures on the rare classes beside the sentences that tell them."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    sentences: tuple[str, ...] = ()


class StoredDiagnosis(Strict):
    """Findings before the rare classes were trained, by part, and after."""

    before: dict[str, StoredFindings] = Field(default={})
    after: StoredFindings = StoredFindings()


class TlsddCurves(Curves):
    """Findings on the rare classes; TL-SDD sweeps no pixel threshold."""

    doctor: StoredDiagnosis = StoredDiagnosis()
