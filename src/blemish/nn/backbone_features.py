"""Features of whole images from a pretrained network at hand: the bundle's own backbone, the installed
EfficientNet-Lite0, or a ResNet in torchvision's cache.

Nothing is downloaded. Letters: B batch, C channels, S side of the square images, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from blemish.nn.backbones import LITE, backbone_stages
from blemish.nn.efficientnet_lite import installed_file
from blemish.nn.resnets import is_cached
from blemish.nn.weights import load_state

BATCH = 16
LAST_STAGE = "layer2"  # fine enough for small defects, and its maps are still of edges and textures
STEM = "body.stem.0.weight"  # end of the name of a stem's first tensor, in the networks of methods
NAMES = (LITE, "resnet18", "resnet34", "resnet50", "resnet101")  # the first at hand


class BackboneFeatures:
    """Mean and greatest value of each channel of a backbone's stage, of unit length.

    scale: brings images [B, 3, S, S] in [0, 1] to the values that the stages' weights were learned with
    """

    def __init__(self, scale: nn.Module, stages: nn.ModuleDict) -> None:
        self.network = nn.Sequential(scale, *stages.values()).eval()

    @torch.inference_mode()
    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [B, 2C]. images: [B, S, S, 3] RGB, S a multiple of 8"""
        rows = []
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(images[start : start + BATCH]).permute(0, 3, 1, 2).float() / 255
            maps = self.network(batch)
            both = (nn.functional.normalize(part) for part in (maps.mean((2, 3)), maps.amax((2, 3))))
            rows.append(torch.cat([*both], dim=1))
        return torch.cat(rows).numpy()


def features_at_hand(
    networks: Mapping[str, Mapping[str, NDArray[np.generic]]], settings: Mapping[str, Any]
) -> tuple[str, BackboneFeatures] | None:
    """Features and their name in words; None where no pretrained network is at hand.

    networks, settings: of the bundle, whose own backbone comes first unless it began at random weights
    """
    if settings.get("backbone_weights", "none") != "none":
        for tensors in networks.values():
            prefix = next((name[: -len(STEM)] + "body." for name in tensors if name.endswith(STEM)), None)
            if prefix is not None:
                return f"the bundle's own {settings['backbone']}", of_bundle(tensors, prefix, settings)
    for name in NAMES:
        if installed_file() is not None if name == LITE else is_cached(name):
            return f"ImageNet {name}", BackboneFeatures(*stages(name, "imagenet"))
    return None


def of_bundle(
    tensors: Mapping[str, NDArray[np.generic]], prefix: str, settings: Mapping[str, Any]
) -> BackboneFeatures:
    """Features of the backbone whose tensors have names with that prefix."""
    scale, network = stages(
        settings["backbone"], "none", original_strides=settings["backbone_strides"] == "original"
    )
    own = {name: tensors[prefix + name] for name in network.state_dict() if prefix + name in tensors}
    load_state(network, own, "its backbone")
    return BackboneFeatures(scale, network)


def stages(name: str, weights: str, *, original_strides: bool = False) -> tuple[nn.Module, nn.ModuleDict]:
    """Scale of a backbone's images, and its stages up to `LAST_STAGE`."""
    return backbone_stages(
        name, weights, deepest=LAST_STAGE, setting="backbone", original_strides=original_strides
    )[:2]
