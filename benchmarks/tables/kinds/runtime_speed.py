"""How long an image takes by method and runtime, from its file to the list of defects, with and without
decoding.

Random weights, since time does not depend on them, so that nothing is found; the image is a drawn surface,
repeated to the size asked for, stored as PNG. Exported networks are those that `blemish export` would write,
int8 calibrated on drawn surfaces. For a person waiting for an answer the latencies count, on the line the
megapixels a second.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from benchmarks.tables.kinds.speed import BLOCK, BlockSpeedSettings, time_blocks
from benchmarks.tables.random_models import random_bundle, random_inspector, runtime_inspector
from benchmarks.tables.row_kind import DEVICES, Figures
from benchmarks.tables.schema import TableRow
from benchmarks.tables.timing import SEED, SpeedKind, peak_memory
from blemish.bundle.manifest import Strict
from blemish.dataset.samples import Dataset
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.images.decode import read_image, to_bytes
from blemish.images.encode import png_bytes
from blemish.inspection import Verdict
from blemish.inspector.inspector import BundleInspector

COMPARED: Mapping[str, str] = {"torchvision": "tlsdd", "blocks": "severity"}  # runtimes of one method alone
OWN_DEVICE: Mapping[str, str] = {"onnx": "cpu", "openvino": "cpu", "cuda-graphs": "cuda"}
CLASSES = 6
SURFACES, PIECE = 24, 512  # drawn surfaces and their side; the first is repeated, others calibrate int8
PERCENTILES = (50, 95, 99)
MIN_RUNS = 3  # runs, however long they take


class RuntimeSpeedSettings(Strict):
    """Settings of a row that times one runtime.

    runtime: torch "eager" in its usual memory layout, "channels-last" as `inspect` runs it, "compiled" on top
        of that, "cuda-graphs" the same with graphs of a GPU; "onnx" and "openvino" are exported bundles;
        "torchvision" is its Faster R-CNN of the same backbone, for TL-SDD to be compared with; "blocks" is
        severity's network, eager, on blocks of the image cut at `step`, a part of it measured
    settings: of the method, on top of its defaults; size: (height, width) of the image
    repeats: at most so many timed images after one warm-up; seconds: none is started after this long
    """

    settings: dict[str, Any] = Field(default_factory=dict)
    method: Literal["severity", "casae", "medetection", "tlsdd"]
    runtime: Literal[
        "eager", "channels-last", "compiled", "cuda-graphs", "onnx", "openvino", "torchvision", "blocks"
    ]
    step: int = Field(64, ge=1, le=BLOCK)
    precision: Literal["fp32", "fp16", "bf16", "int8"] = "fp32"
    size: tuple[int, int]
    repeats: int = Field(50, ge=1)
    seconds: float = Field(10.0, gt=0)

    @model_validator(mode="after")
    def goes_together(self) -> Self:
        by_torch = ("fp32", "bf16")
        allowed = {
            "onnx": ("fp32", "fp16", "int8"),
            "openvino": ("fp32", "fp16", "int8"),
            "torchvision": ("fp32",),
            "blocks": ("fp32",),
        }
        if self.precision not in allowed.get(self.runtime, by_torch):
            raise ValueError(f"runtime {self.runtime} has no precision {self.precision}")
        if COMPARED.get(self.runtime, self.method) != self.method:
            raise ValueError(f"runtime {self.runtime} is for method {COMPARED[self.runtime]} alone")
        return self


class RuntimeSpeed(SpeedKind):
    """Percentiles of the time of an image, decoded and not, and where that time goes."""

    name = "runtime-speed"
    settings_type = RuntimeSpeedSettings

    def devices(self, row: TableRow) -> tuple[str, ...]:
        own = OWN_DEVICE.get(RuntimeSpeedSettings.model_validate(row.settings).runtime)
        return DEVICES if own is None else (own,)

    def measured_here(self, settings: dict[str, Any], device: str) -> Figures:
        from blemish.nn.runtime import prepare_runtime

        prepare_runtime()
        chosen = RuntimeSpeedSettings.model_validate(settings)
        if chosen.runtime == "blocks":
            return {**blocks(chosen, device), **versions_of(chosen.runtime)}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            surfaces = synthesise(folder / "surfaces", images=SURFACES, seed=SEED, size=(PIECE, PIECE))
            inspector = new_inspector(chosen, device, surfaces, folder)
            file = folder / "image.png"
            file.write_bytes(
                png_bytes(tiled_surface(surfaces, chosen.size, inspector.inference.channels or 1))
            )
            runs = timed(inspector, file, chosen)
        return {**figures(runs, chosen.size), **versions_of(chosen.runtime), **peak_memory(device)}


def new_inspector(
    settings: RuntimeSpeedSettings, device: str, surfaces: Dataset, folder: Path
) -> BundleInspector:
    """The method behind the runtime. surfaces: that int8 is calibrated on; folder: for what is written"""
    bundle = random_bundle(settings.method, settings.settings, CLASSES, folder / "bundle")
    return runtime_inspector(
        bundle, settings.runtime, precision=settings.precision, size=settings.size, device=device,
        surfaces=surfaces, folder=folder,
    )  # fmt: skip


def blocks(settings: RuntimeSpeedSettings, device: str) -> dict[str, Any]:
    """Seconds of an image block by block, as the paper slides its window."""
    chosen = BlockSpeedSettings(measure="blocks", step=settings.step, size=settings.size)
    method = {"channels": 1, "cell": int(settings.settings.get("cell", 4))}
    inspector = random_inspector("severity", method, classes=1, device=device, bfloat16=False)
    found = time_blocks(chosen, inspector, device)
    megapixels = settings.size[0] * settings.size[1] / 1e6
    own = {"seconds": found["seconds"], "mpx_per_s": megapixels / found["seconds"]}
    return {"from_pixels": own, "measured": found["measured"]}


def tiled_surface(surfaces: Dataset, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """The first surface, repeated. [H, W] or [H, W, 3]"""
    piece = to_bytes(read_image(surfaces.samples[0].image, channels=channels))
    rows, columns = (-(-side // PIECE) for side in size)
    whole = np.tile(piece, (rows, columns, 1)[: piece.ndim])
    return np.ascontiguousarray(whole[: size[0], : size[1]])


def timed(
    inspector: BundleInspector, file: Path, settings: RuntimeSpeedSettings
) -> list[Mapping[str, float]]:
    """Milliseconds of each step of each run, after one that is not counted; at least three."""
    inspected(inspector, file)
    runs: list[Mapping[str, float]] = []
    begin = perf_counter()
    while len(runs) < settings.repeats and (
        len(runs) < MIN_RUNS or perf_counter() - begin < settings.seconds
    ):
        runs.append(inspected(inspector, file))
    return runs


def inspected(inspector: BundleInspector, file: Path) -> Mapping[str, float]:
    start = perf_counter()
    inspection = inspector.inspect(file)
    whole = 1e3 * (perf_counter() - start)
    if inspection.verdict is Verdict.ERROR:
        raise BlemishError(f"the image could not be judged: {inspection.error}")
    return {**inspection.timings_ms, "whole": whole}


def figures(runs: list[Mapping[str, float]], size: tuple[int, int]) -> dict[str, Any]:
    """Of the runs' milliseconds: percentiles, megapixels a second, and each step's share of the time."""
    whole = np.array([run["whole"] for run in runs])
    decode = np.array([run["decode"] for run in runs])
    megapixels = size[0] * size[1] / 1e6
    steps = {step: float(np.median([run[step] for run in runs])) for step in ("decode", "network", "decide")}
    return {
        "from_file": summary(whole, megapixels),
        "from_pixels": summary(whole - decode, megapixels),
        "ms": steps,
        "shares": {step: value / float(np.median(whole)) for step, value in steps.items()},
        "runs": len(runs),
    }


def summary(milliseconds: NDArray[np.float64], megapixels: float) -> dict[str, float]:
    values = np.percentile(milliseconds, PERCENTILES)
    named = {f"p{share}": float(value) for share, value in zip(PERCENTILES, values, strict=True)}
    return {**named, "mpx_per_s": 1e3 * megapixels / named["p50"], "seconds": named["p50"] / 1e3}


def versions_of(runtime: str) -> dict[str, Any]:
    """The runtime's release, and the threads that it was given."""
    import torch

    named = {"onnx": "onnxruntime", "openvino": "openvino", "torchvision": "torchvision"}
    package = named.get(runtime, "torch")
    return {"version": f"{package} {version(package)}", "threads": torch.get_num_threads()}
