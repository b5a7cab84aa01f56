"""How long CASAE takes for an image, single and cascade, squeezed to its square or tiled.

Random weights, whose map lies well below the threshold everywhere, whatever its level: nothing is found, and
what follows the networks costs its search and no more. Source: the paper has no figure.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.tables.image_speed import ImageSpeedSettings, measure_images
from benchmarks.tables.speed import SEED, random_image
from blemish.inspector.inspector import Inspector

UNREACHED = 0.999  # threshold


class CascadeSpeedSettings(ImageSpeedSettings):
    """size: (height, width) of the image"""

    size: tuple[int, int] = (512, 512)


def measure_cascade(settings: CascadeSpeedSettings, device: str) -> dict[str, Any]:
    """Median time of an image, from pixels in host memory to the list of defects, and the peak of memory."""
    image = random_image(settings.size, int(settings.settings.get("channels", 1)))
    build = partial(random_cascade, settings, device)
    return measure_images(build, image, settings, device, finds_nothing=True)


def random_cascade(settings: CascadeSpeedSettings, device: str, bfloat16: bool) -> Inspector:
    """CASAE with random weights behind the one forward path."""
    import torch

    from blemish.inspector.torch_backend import as_networks
    from blemish.methods.casae.inference import inference_from
    from blemish.methods.casae.network.cascade import Cascade
    from blemish.methods.casae.settings import Settings

    torch.manual_seed(SEED)
    method = Settings.model_validate(settings.settings)
    networks = as_networks({"cascade": Cascade(method)}, device=device, bfloat16=bfloat16)
    inference = inference_from(method, ("defect",), threshold=UNREACHED)
    return Inspector(inference, networks, review=1.0, ng=1.0, bundle="random weights")
