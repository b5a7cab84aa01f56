"""Request for an export: bundle, runtime, precision and place."""

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
    """Request for an export of a bundle to `out`, for a runtime and in a precision.

    tile: side that images are cut to and graphs are fixed to; None: graphs take any size
    dataset: images to compare both bundles on, and with int8 to calibrate and to measure on
    calibration: number of inputs of each graph that int8's ranges are taken from
    max_drop: largest drop allowed with int8 of the method's main metric on validation images
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
        """Scale of the dataset in mm per pixel, for a bundle without a scale of its own."""
        own = self.bundle.manifest.settings.get("mm_per_px")
        return self.dataset.info.get("mm_per_px") if self.dataset is not None and own is None else None


def default_out(bundle: Path, kind: RuntimeKind, precision: Precision) -> Path:
    """Default path of an export, beside the bundle: BUNDLE-onnx, BUNDLE-openvino-int8, …"""
    whole = bundle.resolve()
    return whole.with_name(f"{whole.name}-{kind}{'' if precision == 'fp32' else f'-{precision}'}")
