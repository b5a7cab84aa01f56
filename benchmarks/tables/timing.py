"""Timing in a process of its own, so that its peak of memory is its own, too."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables.experiment import CHECKOUT
from benchmarks.tables.results import Result, RowJob
from benchmarks.tables.row_kind import Figures, RowKind, Source, find_kind
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import Table
from blemish.bundle.migrations import rename_settings
from blemish.errors import BlemishError

SEED = 0


class SpeedKind(RowKind):
    """Base of the kinds that time random weights, since time does not depend on them, without data."""

    source: ClassVar[Source] = "random"
    seeded = False

    def upgraded(self, table: Table, row: TableRow, stored: Result) -> dict[str, Any]:
        """Stored settings, those of the method under the names of today."""
        settings = dict(stored.settings)
        if "method" in settings and "settings" in settings:
            of_method = rename_settings(
                settings["method"], settings["settings"], source=f"table {table.name}, row {row.name}"
            )
            settings["settings"] = of_method
        return settings

    def measure(self, table: Table, job: RowJob) -> Figures:
        return measured_apart(self.name, self.settings(table, job.row), job.device or "cpu")

    def measured_here(self, settings: dict[str, Any], device: str) -> Figures:
        """Figures from this process. settings: as `settings` gives them"""
        raise NotImplementedError


def measured_apart(kind: str, settings: dict[str, Any], device: str) -> Figures:
    """The row's figures from a fresh process. Raises BlemishError where that fails."""
    request = json.dumps({"kind": kind, "settings": settings, "device": device})
    path = os.pathsep.join(folder for folder in (str(CHECKOUT), os.environ.get("PYTHONPATH")) if folder)
    run = subprocess.run(
        [sys.executable, "-c", "from benchmarks.tables.timing import answer; answer()", request],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        reason = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise BlemishError(
            f"row of kind {kind} ({device}, {settings}): the measuring process failed: {reason}"
        )
    return dict(json.loads(run.stdout.strip().splitlines()[-1]))


def answer() -> None:
    """Print the figures that the command line asks for, as one line of JSON."""
    request = json.loads(sys.argv[1])
    kind = find_kind(request["kind"])
    assert isinstance(kind, SpeedKind)
    print(json.dumps(kind.measured_here(request["settings"], request["device"])))


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
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)
