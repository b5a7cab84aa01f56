"""How long MeDetection takes for an image, by stem, number of references and alignment.

Random weights and references, since time does not depend on them; the image is a photograph's size, so that
bringing it to the network's counts. Source: the paper has no figure.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.tables.image_speed import ImageSpeedSettings, measure_images
from benchmarks.tables.speed import SEED, random_image
from blemish.inspector.inspector import Inspector


class PairSpeedSettings(ImageSpeedSettings):
    """size: (height, width) of the image"""

    size: tuple[int, int] = (256, 256)


def measure_pairs(settings: PairSpeedSettings, device: str) -> dict[str, Any]:
    """Median time of an image, from pixels in host memory to verdict and box, and the peak of memory."""
    image = random_image(settings.size, 3)
    return measure_images(partial(random_comparer, settings, device), image, settings, device)


def random_comparer(settings: PairSpeedSettings, device: str, bfloat16: bool) -> Inspector:
    """MeDetection with random weights, and references of noise, behind the one forward path."""
    import torch

    from blemish.inspector.torch_backend import as_networks
    from blemish.methods.medetection.inference import inference_from
    from blemish.methods.medetection.network import DifferenceNetwork
    from blemish.methods.medetection.network.references import references_from
    from blemish.methods.medetection.settings import Settings

    torch.manual_seed(SEED)
    method = Settings.model_validate({**settings.settings, "stem_weights": "none"})
    shape = (method.num_kept_references, method.size, method.size, 3)
    noise = np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)
    modules = {"network": DifferenceNetwork(method), "references": references_from(noise)}
    inference = inference_from(method, ("defect",), thresholds={"score": 0.0}, memory={"product": "noise"})
    networks = as_networks(modules, device=device, bfloat16=bfloat16)
    return Inspector(inference, networks, review=1.0, ng=1.0, bundle="random weights")
