"""Type classifier of stage 4.

Source: He & Liu 2020, section III-B-2: ResNet on 64×64 windows, N types and one background class. Letters: B
batch, N types. Deviation: EfficientNet-Lite0 as well, whose weights need no download.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import ResNet

from blemish.errors import BlemishError
from blemish.methods.severity.settings import SeveritySettings
from blemish.nn.efficientnet_lite import STAGES, LiteScale, efficientnet_lite_stages
from blemish.nn.resnets import ImagenetScale, resnet

DEEPEST = "stage5"  # stage of EfficientNet-Lite0 that types are told by


class TypeNetwork(nn.Module):
    """ResNet from windows in [0, 1] to N + 1 logits, the last of them background."""

    def __init__(self, backbone: ResNet, types: int) -> None:
        super().__init__()
        backbone.fc = nn.Linear(backbone.fc.in_features, types + 1)
        self.backbone = backbone
        self.scale = ImagenetScale()

    def forward(self, windows: Tensor) -> Tensor:
        """Logits [B, N + 1] in fp32. windows: [B, 3, size, size] in [0, 1]"""
        logits: Tensor = self.backbone(self.scale(windows))
        return logits.float()


class LiteTypeNetwork(nn.Module):
    """EfficientNet-Lite0, its last map averaged, in place of the ResNet.

    stages: all of them, see `efficientnet_lite_stages`
    """

    def __init__(self, stages: nn.ModuleDict, types: int) -> None:
        super().__init__()
        self.scale = LiteScale()
        self.stages = nn.Sequential(*stages.values())
        self.output = nn.Linear(STAGES[DEEPEST][-1][-1], types + 1)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits [B, N + 1] in fp32. windows: [B, 3, size, size] in [0, 1]"""
        features: Tensor = self.stages(self.scale(windows))
        logits: Tensor = self.output(features.mean(dim=(2, 3)))
        return logits.float()


def new_type_network(settings: SeveritySettings, types: int) -> tuple[TypeNetwork | LiteTypeNetwork, str]:
    """Build the network with the weights that the settings name; returns it and a line on their origin.

    Raises BlemishError when the weights cannot be had or do not fit.
    """
    original_strides = settings.types_backbone_strides == "original"
    if settings.types_backbone == "efficientnet-lite0":
        if original_strides:
            raise BlemishError(
                "types_backbone_strides: original strides need a bottleneck backbone. Add --set "
                "types_backbone=resnet50, or leave types_backbone_strides out."
            )
        stages, origin = efficientnet_lite_stages(
            settings.types_backbone_weights, deepest=DEEPEST, setting="types_backbone_weights"
        )
        return LiteTypeNetwork(stages, types), origin
    backbone, origin = resnet(
        settings.types_backbone,
        settings.types_backbone_weights,
        setting="types_backbone_weights",
        original_strides=original_strides,
    )
    return TypeNetwork(backbone, types), origin


def empty_type_network(settings: SeveritySettings, types: int) -> TypeNetwork | LiteTypeNetwork:
    """Build the network with initial weights, ready for a bundle's tensors."""
    return new_type_network(settings.model_copy(update={"types_backbone_weights": "none"}), types)[0]
