"""Stages of a pretrained network under one set of names, whichever network it is.

ResNets and EfficientNet-Lite0 go by the names of a ResNet's stages, which tell the stride: "stem", "layer1" …
"layer4". Letters: B batch, C channels, H, W.
"""

from __future__ import annotations

from torch import nn

from blemish.nn.efficientnet_lite import STAGES as LITE_STAGES
from blemish.nn.efficientnet_lite import LiteScale, efficientnet_lite_stages
from blemish.nn.resnets import STAGES, ImagenetScale, resnet_stages

LITE = "efficientnet-lite0"
LITE_NAMES = dict(zip(STAGES, LITE_STAGES, strict=True))  # of its stages by those of a ResNet


def backbone_stages(
    name: str, weights: str, *, deepest: str, setting: str, original_strides: bool = False
) -> tuple[nn.Module, nn.ModuleDict, str]:
    """Build a network with frozen norms up to a stage.

    name: "efficientnet-lite0" or "resnet18" … "resnet101"; deepest: one of `resnets.STAGES`
    weights: "imagenet", "none", or a path to a .safetensors file; setting: that gave them, for messages
    original_strides: as of `resnets.resnet`, for ResNets
    returns: scale for images [B, 3, H, W] in [0, 1]; stages by the names of a ResNet's; a line on where the
        weights are from. EfficientNet-Lite0's maps have the same strides but for the stem's, which is 2, not
        4; H and W must be multiples of its last stride.
    Raises BlemishError where the weights cannot be had or do not fit.
    """
    if name == LITE:
        own, origin = efficientnet_lite_stages(weights, deepest=LITE_NAMES[deepest], setting=setting)
        return LiteScale(), nn.ModuleDict(dict(zip(LITE_NAMES, own.values(), strict=False))), origin
    body, origin = resnet_stages(
        name, weights, deepest=deepest, setting=setting, original_strides=original_strides
    )
    return ImagenetScale(), body, origin
