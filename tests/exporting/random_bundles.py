"""Bundles of random networks whose answers are spread, so that a comparison has something to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from blemish.bundle import Manifest, Preprocessing
from blemish.dataset.synthetic import DefectRequest, render
from blemish.methods import find_method
from blemish.methods.medetection.network.linear_path import normal_maps

# cell 2 halves the pixels, and tiles are small, so that a strip larger than one is no large image.
SEVERITY = {
    "encoder": "paper",
    "cell": 2,
    "tile": 160,
    "types": False,
    "min_area": 12,
    "types_backbone_weights": "none",
}
CASAE = {
    "preset": "tiny",
    "tiled": True,
    "tile": 1024,
    "patch": 64,
    "width": 4,
    "types": False,
    "min_area": 12,
}
BESIDE_HEAD = {"backbone": "resnet18", "backbone_weights": "none", "linear_path": "deviations"}
NOTHING: Mapping[str, Any] = {}
MEDETECTION = {"preset": "tiny", "backbone": "paper", "references": 2, "reset_head": False}


def surfaces(count: int, size: tuple[int, int], channels: int) -> Tensor:
    """Surfaces with a strong scratch each, [count, channels, *size] in [0, 1]."""
    generator = np.random.default_rng(5)
    request = [DefectRequest("scratch", 80.0)]
    drawn = [
        render("cast_metal", size=size, defects=request, generator=generator).image for _ in range(count)
    ]
    return torch.from_numpy(np.stack(drawn)[:, None].repeat(channels, 1) / 255).float()


def spread(module: nn.Module, layer: nn.Module, images: Tensor, *, mean: Sequence[float], std: float) -> None:
    """Scale the layer so that each channel of what it gives on these images has that mean and deviation."""
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))
    with torch.no_grad():
        module.eval()(images)
        handle.remove()
        channels = seen[-1].movedim(1, 0).flatten(1)
        factor = std / channels.std(dim=1).clamp(min=1e-12)
        layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.mul_(factor).add_(torch.tensor(mean) - channels.mean(dim=1) * factor)


def random_modules(method: str, manifest: Manifest, seed: int = 0) -> dict[str, nn.Module]:
    """The bundle's networks with random weights and spread answers."""
    torch.manual_seed(seed)
    modules = find_method(method).modules(manifest)
    channels = manifest.settings.get("channels", 3)
    if method == "severity":
        # Of a hurdle two logits, whose severities are about T.
        mean = (1.0, 0.5) if manifest.settings["loss"] == "hurdle" else (3.0,)
        for network in [modules[name] for name in ("severity", "context") if name in modules]:
            layer = network.conv4 if hasattr(network, "conv4") else network.output
            spread(network, layer, surfaces(2, (96, 96), channels), mean=mean, std=1.2)
    elif method == "casae":
        network = modules["cascade"]
        for part in [each for each in (network.first, network.second) if each is not None]:
            layer = part.output if hasattr(part, "output") else part.score_pool3
            spread(network, layer, surfaces(2, (96, 96), channels), mean=(1.5, -1.5), std=1.5)
    else:
        side = manifest.settings["size"]
        modules["references"].pictures.copy_((255 * surfaces(3, (side, side), 3)).byte())
        network = modules["network"]
        nn.init.normal_(network.head.weight)
        pairs = surfaces(12, (side, side), 3).reshape(6, 6, side, side)
        spread(network, network.head, pairs, mean=(0.0, 0.0), std=1.5)
        if network.linear is not None:
            fit_linear_path(network, surfaces(6, (side, side), 3))
    return modules


def fit_linear_path(network: nn.Module, images: Tensor) -> None:
    """Fit the linear path to tell every second image from the others."""
    with torch.no_grad():
        features = network.embed(images)
    usual, linear = normal_maps([features[::2]]), network.linear
    linear.learn_usual(usual)
    linear.fit(linear.statistics(features), torch.arange(len(images)) % 2, strength=0.1)


def manifest_of(
    method: str,
    settings: Mapping[str, Any],
    *,
    further_thresholds: Mapping[str, float] = NOTHING,
    further_memory: Mapping[str, Any] = NOTHING,
) -> Manifest:
    whole = find_method(method).settings_type.model_validate(settings)
    thresholds = {"severity": 6.0, "drop_above": 0.5, "probability": 0.5, "score": 0.5}
    cell = settings.get("cell", 4)
    halo = {2: 46, 4: 92}[cell]
    tiling = {"tile": settings["tile"], "halo": halo, "stride": cell} if method == "severity" else {}
    memory = {"product": "part", "references": ["a", "b", "c"]} if method == "medetection" else {}
    return Manifest(
        method=method,
        class_names=("scratch", "spot"),
        preprocessing=Preprocessing(channels=whole.model_dump().get("channels", 3)),
        tiling=tiling,
        thresholds={**thresholds, "ng": 0.6, "review": 0.45, **further_thresholds},
        settings=whole.model_dump(mode="json"),
        memory={**memory, **further_memory},
    )
