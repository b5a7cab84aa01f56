"""Type classifier of stage 4.

Source: He & Liu 2020, section III-B-2: ResNet on 64×64 windows, N types and one background class. Letters: B
batch, N types.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import ResNet

from blemish.methods.severity.settings import SeveritySettings
from blemish.nn.resnets import ImagenetScale, resnet


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


def new_type_network(settings: SeveritySettings, types: int) -> tuple[TypeNetwork, str]:
    """Build the network with the weights that the settings name; returns it and a line on their origin."""
    backbone, origin = resnet(
        settings.types_backbone,
        settings.types_weights,
        setting="types_weights",
        original_strides=settings.types_strides == "original",
    )
    return TypeNetwork(backbone, types), origin


def empty_type_network(settings: SeveritySettings, types: int) -> TypeNetwork:
    """Build the network with initial weights, ready for a bundle's tensors."""
    return new_type_network(settings.model_copy(update={"types_weights": "none"}), types)[0]
