"""How many images a second TL-SDD inspects, by size, number of classes and where proposals come from.

Random weights, since time hardly depends on them: the proposal network always hands on its whole budget.
Source: the method's README on what proposals on every class's features cost.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from pydantic import Field

from benchmarks.tables.image_speed import ImageSpeedSettings, measure_images
from benchmarks.tables.speed import SEED, random_image
from blemish.inspector.inspector import Inspector


class DetectorSpeedSettings(ImageSpeedSettings):
    """side: of the square image, pixels; classes: K"""

    side: int = Field(ge=64)
    classes: int = Field(ge=1)
    proposals: Literal["per_class", "shared"]
    repeats: int = Field(10, ge=1)


def measure_detector(settings: DetectorSpeedSettings, device: str) -> dict[str, Any]:
    """Median time of an image, from pixels in host memory to the list of defects, and the peak of memory."""
    image = random_image((settings.side, settings.side), 3)
    return measure_images(partial(random_detector, settings, device), image, settings, device)


def random_detector(settings: DetectorSpeedSettings, device: str, bfloat16: bool) -> Inspector:
    """A detector with random weights and a bank of random classes behind the one forward path."""
    import torch

    from blemish.inspector.torch_backend import as_networks
    from blemish.methods.tlsdd.network.class_tensors import ClassTensors, digest_of
    from blemish.methods.tlsdd.network.detector import Detector
    from blemish.methods.tlsdd.runtime.inference import inference_from
    from blemish.methods.tlsdd.settings import Settings

    torch.manual_seed(SEED)
    chosen = {**settings.settings, "proposals": settings.proposals, "backbone_weights": "none"}
    method = Settings.model_validate(chosen)
    detector = Detector(method, settings.classes)
    bank = ClassTensors(
        2 * torch.rand(settings.classes, method.width),
        torch.nn.functional.normalize(torch.randn(settings.classes, method.embedding), dim=1),
        torch.ones(settings.classes, dtype=torch.bool),
        torch.from_numpy(digest_of(detector)),
    )
    detector.serve(bank)
    names = tuple(f"class {number}" for number in range(settings.classes))
    networks = as_networks({"detector": detector, "bank": bank}, device=device, bfloat16=bfloat16)
    inference = inference_from(method, names, threshold=0.5)
    return Inspector(inference, networks, review=1.0, ng=1.0, bundle="random weights")
