"""Memory and curves of a MeDetection bundle, as its manifest stores them."""

from __future__ import annotations

from blemish.bundle.manifest import Strict
from blemish.methods.contract import Curves, Memory


class MedetectionMemory(Memory):
    """Products that a bundle knows.

    product: its own; "" or None: a starting point, which knows none yet
    products: those learned from before it; references: ids of the images that others are compared with
    """

    product: str | None
    products: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


class StoredValidation(Strict):
    """Validation during a training. looks: for each validation its step, and its measures by name"""

    best_step: int
    epochs: float
    steps_of_epoch: float
    looks: tuple[dict[str, int | float], ...]


class MedetectionCurves(Curves):
    """Validation during meta-training and during fine-tuning."""

    meta: StoredValidation | None = None
    adaptation: StoredValidation | None = None
