"""How fast stage 1 is: the batches of the paper's Table 8, and a whole image patch by patch against tiled.

Random weights, since time does not depend on them; every figure is from host memory to host memory.
Source: He & Liu 2020, section IV-H, Table 8 (blocks of 256×256) and IV-A (sliding step 64).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.tables.experiment import CHECKOUT, Strict
from blemish.errors import BlemishError
from blemish.images.tiling import planes
from blemish.inspector.inspector import Inspector
from blemish.methods.severity.inference import inference_from
from blemish.methods.severity.settings import Settings

BLOCK = 256  # pixels, side of the paper's block
CONFIGURATIONS = {"gray-4": (1, 4), "colour-4": (3, 4), "colour-2": (3, 2)}  # channels and cell
SEED = 0


class SpeedSettings(Strict):
    """What one row times.

    measure: "batch" of blocks; "blocks" of a whole image, cut at `step`; "tiled", an image's one forward path
    size: (height, width) of the image; part: side of the part of it that is cut into blocks, the whole
        image's time is then worked out from the number of blocks; a GPU does it whole
    images: how many of them the row's total is for; a GPU does them all, the CPU one
    repeats: most timed runs of a batch after one warm-up; seconds: no run is started after this long
    """

    measure: Literal["batch", "blocks", "tiled"]
    configurations: tuple[Literal["gray-4", "colour-4", "colour-2"], ...] = ("gray-4",)
    batch: int = Field(64, ge=1)
    step: int = Field(64, ge=1, le=BLOCK)
    size: tuple[int, int] = (12800, 8192)
    part: int = Field(1024, ge=BLOCK)
    images: int = Field(7, ge=1)
    repeats: int = Field(5, ge=1)
    seconds: float = Field(3.0, gt=0)


def measure_apart(kind: str, settings: Strict, device: str) -> dict[str, Any]:
    """The row's figures from a fresh process, so that its peak of memory is its own."""
    request = json.dumps({"kind": kind, "settings": settings.model_dump(mode="json"), "device": device})
    command = [sys.executable, "-m", "benchmarks.tables.probe", request]
    path = os.pathsep.join(one for one in (str(CHECKOUT), os.environ.get("PYTHONPATH")) if one)
    environment = {**os.environ, "PYTHONPATH": path}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        reason = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise BlemishError(
            f"row of kind {kind} ({device}, {settings}): the measuring process failed: {reason}"
        )
    return dict(json.loads(run.stdout.strip().splitlines()[-1]))


def measure_here(settings: SpeedSettings, device: str) -> dict[str, Any]:
    """The row's figures by configuration and precision; bf16 only where the hardware multiplies it."""
    import torch

    from blemish.inspector.torch_backend import fast_bfloat16
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    time_one = {"batch": time_batch, "blocks": time_blocks, "tiled": time_tiled}[settings.measure]
    precisions = ["fp32", *(["bf16"] if fast_bfloat16(device) else [])]
    figures: dict[str, Any] = {}
    for name, precision in product(settings.configurations, precisions):
        channels, cell = CONFIGURATIONS[name]
        inspector = random_inspector(channels, cell, device=device, bfloat16=precision == "bf16")
        figures.setdefault(name, {})[precision] = time_one(settings, inspector, device)
    return {**figures, "threads": torch.get_num_threads()}


def random_inspector(channels: int, cell: int, *, device: str, bfloat16: bool) -> Inspector:
    """Stages 1 to 3 with random weights. Nothing reaches T, so stage 3 costs its search and no more."""
    import torch

    from blemish.inspector.torch_backend import as_networks
    from blemish.methods.severity.network import SeverityNetwork

    torch.manual_seed(SEED)
    settings = Settings(channels=channels, cell=cell, types=False)
    networks = as_networks({"severity": SeverityNetwork(channels, cell)}, device=device, bfloat16=bfloat16)
    inference = inference_from(settings, ("defect",), threshold=11.9, drop_above=1.0)
    return Inspector(inference, networks, review=1.0, ng=1.0, bundle="random weights")


def time_batch(settings: SpeedSettings, inspector: Inspector, device: str) -> dict[str, Any]:
    """Median milliseconds of one batch of blocks, and of one block in it."""
    channels = inspector.inference.channels or 1
    generator = np.random.default_rng(SEED)
    blocks = generator.random((settings.batch, channels, BLOCK, BLOCK), dtype=np.float32)
    network = inspector.networks["severity"]
    runs = timed_runs(lambda: network(blocks), repeats=settings.repeats, seconds=settings.seconds)
    middle = 1e3 * statistics.median(runs)
    return {"ms": middle, "ms_per_block": middle / settings.batch, "runs": len(runs)}


def time_blocks(settings: SpeedSettings, inspector: Inspector, device: str) -> dict[str, Any]:
    """Seconds of one image cut into blocks at a step: of all of it on a GPU, of a part on the CPU."""
    height, width = settings.size
    rows, columns = (
        (height, width) if device == "cuda" else (min(settings.part, side) for side in (height, width))
    )
    image = random_image((rows, columns), inspector.inference.channels or 1)
    network = inspector.networks["severity"]
    network(next(block_batches(image, settings)))  # a whole batch, so that its memory is there
    start = perf_counter()
    for blocks in block_batches(image, settings):
        network(blocks)
    seconds = perf_counter() - start
    done, whole = block_count((rows, columns), settings.step), block_count(settings.size, settings.step)
    share = "whole" if done == whole else f"{rows}×{columns} part, × {whole / done:.4g} by number of blocks"
    return {
        "seconds": seconds * whole / done,
        "seconds_all": settings.images * seconds * whole / done,
        "blocks": whole,
        "measured": share,
    }


def block_batches(image: NDArray[np.uint8], settings: SpeedSettings) -> Iterator[NDArray[np.float32]]:
    """Every block of the image, at most `batch` at a time. yields: [B, C, 256, 256] in [0, 1]"""
    corners = list(product(*(starts(side, settings.step) for side in image.shape[:2])))
    for first in range(0, len(corners), settings.batch):
        batch = corners[first : first + settings.batch]
        yield np.stack([planes(image[top : top + BLOCK, left : left + BLOCK]) for top, left in batch])


def starts(side: int, step: int) -> list[int]:
    """First pixels of blocks along one axis; the last block ends with the image."""
    return [*range(0, side - BLOCK, step), side - BLOCK]


def block_count(size: tuple[int, int], step: int) -> int:
    return len(starts(size[0], step)) * len(starts(size[1], step))


def time_tiled(settings: SpeedSettings, inspector: Inspector, device: str) -> dict[str, Any]:
    """Seconds from pixels in host memory to the list of defects, by the one forward path; its peak memory."""
    image = random_image(settings.size, inspector.inference.channels or 1)
    warm = image[: min(2048, settings.size[0]), : min(2048, settings.size[1])]
    measured = settings.images if device == "cuda" else 1
    inspector.judge(warm, "warm-up")
    start = perf_counter()
    for number in range(measured):
        inspector.judge(image, f"image {number}")
    seconds = (perf_counter() - start) / measured
    share = "all" if measured == settings.images else f"{measured} of {settings.images}, × {settings.images}"
    return {
        "seconds": seconds,
        "seconds_all": seconds * settings.images,
        "measured": share,
        **peak_memory(device),
    }


def random_image(size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """[H, W] or [H, W, 3] of noise; its memory counts in the peak, as a decoded image's would."""
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)


def timed_runs(run: Callable[[], Any], *, repeats: int, seconds: float) -> list[float]:
    """Seconds of each run after one warm-up; at least one, then as many as the time allows."""
    run()
    begin = perf_counter()
    times: list[float] = []
    while not times or (len(times) < repeats and perf_counter() - begin < seconds):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return times


def peak_memory(device: str) -> dict[str, float]:
    """Highest resident memory of this process so far, and of the GPU's allocator, in MiB."""
    peaks = {"peak_mib": resident_peak_mib()}
    if device == "cuda":
        import torch

        peaks["gpu_peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return peaks


def resident_peak_mib() -> float:
    """From /proc where there is one: getrusage's figure also holds the peak of its parent."""
    import resource
    from pathlib import Path

    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)
