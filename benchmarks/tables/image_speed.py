"""How long a method takes for one image, by precision: what the speed rows of all methods share.

Random weights, since time does not depend on them, and an image of noise; from pixels in host memory to the
list of defects, by the one forward path.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.tables.experiment import Strict
from benchmarks.tables.speed import peak_memory, timed_runs
from blemish.inspector.inspector import Inspector


class ImageSpeedSettings(Strict):
    """What every such row is told.

    settings: of the method, on top of its defaults
    repeats: most timed images after one warm-up; seconds: none is started after this long
    """

    settings: dict[str, Any] = Field(default_factory=dict)
    repeats: int = Field(20, ge=1)
    seconds: float = Field(20.0, gt=0)


def measure_images(
    build: Callable[[bool], Inspector],
    image: NDArray[np.uint8],
    settings: ImageSpeedSettings,
    device: str,
    *,
    finds_nothing: bool = False,
) -> dict[str, Any]:
    """Median time of an image and the peak of memory, by precision; bf16 where the hardware multiplies it.

    build: the inspector on `device`, told whether in bf16
    finds_nothing: whether it is built so that it finds no defect, which each run is held to
    """
    import torch

    from blemish.inspector.torch_backend import fast_bfloat16
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    figures: dict[str, Any] = {"threads": torch.get_num_threads()}
    for precision in ["fp32", *(["bf16"] if fast_bfloat16(device) else [])]:
        inspector = build(precision == "bf16")
        judge = partial(judged, inspector, image, finds_nothing=finds_nothing)
        times = timed_runs(judge, repeats=settings.repeats, seconds=settings.seconds)
        middle = statistics.median(times)
        figures[precision] = {
            "ms": 1e3 * middle,
            "seconds": middle,
            "images_per_second": 1 / middle,
            "runs": len(times),
            **peak_memory(device),
        }
    return figures


def judged(inspector: Inspector, image: NDArray[np.uint8], *, finds_nothing: bool) -> None:
    """One run. finds_nothing: see `measure_images`"""
    inspection = inspector.judge(image, "noise")
    assert not (finds_nothing and inspection.defects), "time was to be measured without a defect"
