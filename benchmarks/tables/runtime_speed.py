"""How long an image takes by method and runtime, from its file to the list of defects, with and without
decoding.

Random weights, since time does not depend on them, so that nothing is found; the picture is a drawn surface,
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

from benchmarks.tables.image_speed import ImageSpeedSettings
from benchmarks.tables.speed import (
    BLOCK,
    SEED,
    SpeedSettings,
    peak_memory,
    random_inspector,
    time_blocks,
)
from blemish.dataset.samples import Dataset
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.images.decode import read_image, to_bytes
from blemish.images.encode import png_bytes
from blemish.inspection import Verdict
from blemish.inspector.inspector import Inspector

COMPARED: Mapping[str, str] = {"torchvision": "tlsdd", "blocks": "severity"}  # runtimes of one method alone
OWN_DEVICE: Mapping[str, str] = {"onnx": "cpu", "openvino": "cpu", "cuda-graphs": "cuda"}
SURFACES, PIECE = 24, 512  # drawn pictures and their side; the first is repeated, others calibrate int8
PERCENTILES = (50, 95, 99)
LEAST = 3  # runs, however long they take


class RuntimeSpeedSettings(ImageSpeedSettings):
    """What one row times.

    runtime: torch "eager" in its usual memory layout, "channels-last" as `inspect` runs it, "compiled" on top
        of that, "cuda-graphs" the same with graphs of a GPU; "onnx" and "openvino" are exported bundles;
        "torchvision" is its Faster R-CNN of the same backbone, for TL-SDD to be compared with; "blocks" is
        severity's network, eager, on blocks of the image cut at `step`, a part of it measured
    size: (height, width) of the image
    """

    method: Literal["severity", "casae", "medetection", "tlsdd"]
    runtime: Literal[
        "eager", "channels-last", "compiled", "cuda-graphs", "onnx", "openvino", "torchvision", "blocks"
    ]
    step: int = Field(64, ge=1, le=BLOCK)
    precision: Literal["fp32", "fp16", "bf16", "int8"] = "fp32"
    size: tuple[int, int]
    repeats: int = Field(50, ge=1)
    seconds: float = Field(10.0, gt=0)

    @property
    def devices(self) -> tuple[str, ...]:
        """Where the runtime runs."""
        own = OWN_DEVICE.get(self.runtime)
        return ("cpu", "cuda") if own is None else (own,)

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


def measure_runtime(settings: RuntimeSpeedSettings, device: str) -> dict[str, Any]:
    """Percentiles of the time of an image, decoded and not, and where that time goes."""
    from benchmarks.tables.runtimes import new_inspector
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    if settings.runtime == "blocks":
        return {**blocks(settings, device), **versions_of(settings.runtime)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        surfaces = synthesise(folder / "surfaces", images=SURFACES, seed=SEED, size=(PIECE, PIECE))
        inspector = new_inspector(settings, device, surfaces, folder)
        file = folder / "picture.png"
        file.write_bytes(png_bytes(picture(surfaces, settings.size, inspector.inference.channels or 1)))
        runs = timed(inspector, file, settings)
    return {**figures(runs, settings.size), **versions_of(settings.runtime), **peak_memory(device)}


def blocks(settings: RuntimeSpeedSettings, device: str) -> dict[str, Any]:
    """Seconds of an image block by block, as the paper slides its window."""
    chosen = SpeedSettings(measure="blocks", step=settings.step, size=settings.size)
    inspector = random_inspector(1, int(settings.settings.get("cell", 4)), device=device, bfloat16=False)
    found = time_blocks(chosen, inspector, device)
    megapixels = settings.size[0] * settings.size[1] / 1e6
    own = {"seconds": found["seconds"], "mpx_per_s": megapixels / found["seconds"]}
    return {"from_pixels": own, "measured": found["measured"]}


def picture(surfaces: Dataset, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """The first surface, repeated. [H, W] or [H, W, 3]"""
    piece = to_bytes(read_image(surfaces.samples[0].image, channels=channels))
    rows, columns = (-(-side // PIECE) for side in size)
    whole = np.tile(piece, (rows, columns, 1)[: piece.ndim])
    return np.ascontiguousarray(whole[: size[0], : size[1]])


def timed(inspector: Inspector, file: Path, settings: RuntimeSpeedSettings) -> list[Mapping[str, float]]:
    """Milliseconds of each step of each run, after one that is not counted; at least three."""
    inspected(inspector, file)
    runs: list[Mapping[str, float]] = []
    begin = perf_counter()
    while len(runs) < settings.repeats and (len(runs) < LEAST or perf_counter() - begin < settings.seconds):
        runs.append(inspected(inspector, file))
    return runs


def inspected(inspector: Inspector, file: Path) -> Mapping[str, float]:
    start = perf_counter()
    inspection = inspector.inspect(file)
    whole = 1e3 * (perf_counter() - start)
    if inspection.verdict is Verdict.ERROR:
        raise BlemishError(f"the picture could not be judged: {inspection.error}")
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
