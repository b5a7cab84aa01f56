"""What `export` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset

RuntimeKind = Literal["onnx", "openvino"]
Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class ExportRequest:
    """One export: which bundle, for which runtime, where to.

    tile: side that images are cut to and graphs are fixed to; None: graphs take any size
    dataset: images to compare both sides on, and for int8 to calibrate with and to measure on
    calibration: how many inputs of each graph int8's ranges are taken from
    max_drop: of the method's main metric on validation images, the largest that int8 may cost
    """

    bundle: Bundle
    kind: RuntimeKind
    precision: Precision
    out: Path
    tile: int | None = None
    dataset: Dataset | None = None
    calibration: int = 100
    max_drop: float = 0.01
    seed: int = 0

    @property
    def scale(self) -> float | None:
        """mm per pixel of the dataset, for a bundle that has none of its own."""
        own = self.bundle.manifest.settings.get("mm_per_px")
        return self.dataset.info.get("mm_per_px") if self.dataset is not None and own is None else None


def default_out(bundle: Path, kind: RuntimeKind, precision: Precision) -> Path:
    """Beside the bundle: BUNDLE-onnx, BUNDLE-openvino-int8, …"""
    whole = bundle.resolve()
    return whole.with_name(f"{whole.name}-{kind}{'' if precision == 'fp32' else f'-{precision}'}")
