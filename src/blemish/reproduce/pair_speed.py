"""How long MeDetection takes for an image, by stem, number of references and alignment.

Random weights and references, since time does not depend on them; the image is a photograph's size, so that
bringing it to the network's counts. Source: the paper has no figure.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from pydantic import Field

from blemish.inspector.inspector import Inspector
from blemish.reproduce.experiment import Strict
from blemish.reproduce.speed import SEED, peak_memory, random_image, timed_runs


class PairSpeedSettings(Strict):
    """What one row times.

    size: (height, width) of the image; settings: of the method, on top of its defaults
    repeats: most timed images after one warm-up; seconds: none is started after this long
    """

    size: tuple[int, int] = (256, 256)
    settings: dict[str, Any] = Field(default_factory=dict)
    repeats: int = Field(20, ge=1)
    seconds: float = Field(20.0, gt=0)


def measure_pairs(settings: PairSpeedSettings, device: str) -> dict[str, Any]:
    """Median time of an image, from pixels in host memory to verdict and box, and the peak of memory."""
    import torch

    from blemish.inspector.torch_backend import fast_bfloat16
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    image = random_image(settings.size, 3)
    figures: dict[str, Any] = {"threads": torch.get_num_threads()}
    for precision in ["fp32", *(["bf16"] if fast_bfloat16(device) else [])]:
        inspector = random_comparer(settings, device=device, bfloat16=precision == "bf16")
        run = lambda inspector=inspector: inspector.judge(image, "noise")  # noqa: E731
        times = timed_runs(run, repeats=settings.repeats, seconds=settings.seconds)
        middle = statistics.median(times)
        figures[precision] = {
            "ms": 1e3 * middle,
            "seconds": middle,
            "images_per_second": 1 / middle,
            "runs": len(times),
            **peak_memory(device),
        }
    return figures


def random_comparer(settings: PairSpeedSettings, *, device: str, bfloat16: bool) -> Inspector:
    """MeDetection with random weights, and references of noise, behind the one forward path."""
    import torch

    from blemish.inspector.torch_backend import as_networks
    from blemish.methods.medetection.inference import inference_from
    from blemish.methods.medetection.network import DifferenceNetwork
    from blemish.methods.medetection.references import kept, references_from
    from blemish.methods.medetection.settings import Settings

    torch.manual_seed(SEED)
    method = Settings.model_validate({**settings.settings, "stem_weights": "none"})
    shape = (kept(method), method.size, method.size, 3)
    noise = np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)
    modules = {"network": DifferenceNetwork(method), "references": references_from(noise)}
    inference = inference_from(method, ("defect",), thresholds={"score": 0.0}, memory={"product": "noise"})
    networks = as_networks(modules, device=device, bfloat16=bfloat16)
    return Inspector(inference, networks, review=1.0, ng=1.0, bundle="random weights")
