"""How many images a second TL-SDD inspects, by size, number of classes and where proposals come from.

Random weights, since time hardly depends on them: the proposal network always hands on its whole budget.
Source: the method's README on what proposals on every class's features cost.
"""

from __future__ import annotations

import statistics
from typing import Any, Literal

from pydantic import Field

from blemish.inspector.inspector import Inspector
from blemish.reproduce.experiment import Strict
from blemish.reproduce.speed import SEED, peak_memory, random_image, timed_runs


class DetectorSpeedSettings(Strict):
    """What one row times.

    side: of the square image, pixels; classes: K; settings: of the method, on top of its defaults
    repeats: most timed images after one warm-up; seconds: none is started after this long
    """

    side: int = Field(ge=64)
    classes: int = Field(ge=1)
    proposals: Literal["per_class", "shared"]
    settings: dict[str, Any] = Field(default_factory=dict)
    repeats: int = Field(10, ge=1)
    seconds: float = Field(20.0, gt=0)


def measure_detector(settings: DetectorSpeedSettings, device: str) -> dict[str, Any]:
    """Median time of an image, from pixels in host memory to the list of defects, and the peak of memory."""
    import torch

    from blemish.inspector.torch_backend import fast_bfloat16
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    image = random_image((settings.side, settings.side), 3)
    figures: dict[str, Any] = {"threads": torch.get_num_threads()}
    for precision in ["fp32", *(["bf16"] if fast_bfloat16(device) else [])]:
        inspector = random_detector(settings, device=device, bfloat16=precision == "bf16")
        run = lambda inspector=inspector: inspector.judge(image, "noise")  # noqa: E731
        times = timed_runs(run, repeats=settings.repeats, seconds=settings.seconds)
        middle = statistics.median(times)
        figures[precision] = {
            "ms": 1e3 * middle,
            "images_per_second": 1 / middle,
            "runs": len(times),
            **peak_memory(device),
        }
    return figures


def random_detector(settings: DetectorSpeedSettings, *, device: str, bfloat16: bool) -> Inspector:
    """A detector with random weights and a bank of random classes behind the one forward path."""
    import torch

    from blemish.inspector.torch_backend import as_networks
    from blemish.methods.tlsdd.bank import ClassBank, digest_of
    from blemish.methods.tlsdd.detector import Detector
    from blemish.methods.tlsdd.inference import inference_from
    from blemish.methods.tlsdd.settings import Settings

    torch.manual_seed(SEED)
    chosen = {**settings.settings, "proposals": settings.proposals, "backbone_weights": "none"}
    method = Settings.model_validate(chosen)
    detector = Detector(method, settings.classes)
    bank = ClassBank(settings.classes, width=method.width, embedding=method.embedding)
    bank.fill(
        2 * torch.rand_like(bank.class_vectors),
        torch.nn.functional.normalize(torch.randn_like(bank.prototypes), dim=1),
        torch.ones_like(bank.known),
        digest_of(detector),
    )
    detector.serve(bank)
    names = tuple(f"class {number}" for number in range(settings.classes))
    networks = as_networks({"detector": detector, "bank": bank}, device=device, bfloat16=bfloat16)
    inference = inference_from(method, names, threshold=0.5)
    return Inspector(inference, networks, review=1.0, ng=1.0, bundle="random weights")
