"""Feature extraction E: a backbone whose stages meet in a feature pyramid, or one of its maps alone.

Source: TL-SDD, section III-A-1 and Fig. 3; the pyramid is torchvision's, with one more map from max pooling,
as in Faster R-CNN. Letters: B images, m channels of every map, H, W.
Deviations: batch norms keep the statistics of their weights, since a batch holds few images; deformable 3×3
convolutions in the deepest stage are the paper's future work; EfficientNet-Lite0 may stand in for the ResNet,
its stages under the names of the ResNet's of the same stride.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d, FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from blemish.errors import BlemishError
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.nn.backbones import LITE, backbone_stages
from blemish.nn.resnets import STAGES, out_channels, stages_up_to

# Root mean square of EfficientNet-Lite0's maps, which no activation bounds, on 80 images of four surfaces; a
# ResNet-50's are of 0.9 to 1.6 there, which the learning rate is made for.
LITE_MAGNITUDES = {"layer1": 7.0, "layer2": 6.0, "layer3": 4.6, "layer4": 2.2}

FeatureMaps = Mapping[str, Tensor]  # [B, m, h, w] each, by the names of `runtime.anchors.map_names`


def new_extractor(settings: TlsddSettings) -> tuple[Extractor, str]:
    """Build the extractor of the settings; returns it and a line on where its weights are from.

    Raises BlemishError when the weights cannot be had or do not fit, or the single map lies too deep.
    """
    used = used_stages(settings)
    if settings.backbone == "auto":  # chosen before a training; only an altered bundle says so
        raise BlemishError("setting backbone must name a network. Received: auto. Train the bundle again.")
    scale, body, origin = backbone_stages(
        settings.backbone,
        settings.backbone_weights,
        deepest=used[-1],
        setting="backbone_weights",
        original_strides=settings.backbone_strides == "original",
    )
    for stage in used[: max(0, len(used) - settings.trainable_stages)]:
        body[stage].requires_grad_(False)
    if settings.deformable:
        for block in body[used[-1]].children():
            for name, module in list(block.named_children()):
                if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                    setattr(block, name, DeformableConv(module))
    sizes = LITE_MAGNITUDES if settings.backbone == LITE else {}
    extractor = Extractor(scale, body, width=settings.width, fused=settings.feature_fusion, magnitudes=sizes)
    return extractor, origin


class Extractor(nn.Module):
    """Images to maps of one width, by name: "0" the finest.

    scale: brings images to the values that the backbone's weights were learned with
    body: stages by name, from the stem on, as `nn.resnets.stages_of` makes them
    width: m; fused: a pyramid over all stages behind the stem, or the deepest stage's map alone
    magnitudes: by stage, that its map is divided by before the pyramid; 1 where there is none
    """

    def __init__(
        self,
        scale: nn.Module,
        body: nn.ModuleDict,
        *,
        width: int,
        fused: bool,
        magnitudes: Mapping[str, float],
    ) -> None:
        super().__init__()
        channels = [out_channels(stage) for name, stage in body.items() if name != "stem"]
        self.body = body
        self.taken = tuple(body)[1:] if fused else tuple(body)[-1:]
        self.fusion = (
            FeaturePyramidNetwork(channels, width, extra_blocks=LastLevelMaxPool())
            if fused
            else SingleMap(channels[-1], width)
        )
        self.names = (*(str(i) for i in range(len(self.taken))), *(("pool",) if fused else ()))
        finest = 2 ** (1 + STAGES.index(self.taken[0]))
        self.strides = tuple(finest * 2**i for i in range(len(self.names)))
        self.scaled, self.magnitudes = scale, magnitudes

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps by name, the finest first.

        images: [B, 3, H, W] in [0, 1], for EfficientNet-Lite0 of whole cells of the deepest map
        returns: [B, m, ⌈H / stride⌉, ⌈W / stride⌉] each
        """
        return self.learned(self.frozen(images))

    @property
    def frozen_stages(self) -> tuple[str, ...]:
        """Names of the stages, from the stem on, before the first that learns."""
        learns = [
            any(parameter.requires_grad for parameter in stage.parameters()) for stage in self.body.values()
        ]
        return tuple(self.body)[: learns.index(True) if any(learns) else len(learns)]

    def frozen(self, images: Tensor) -> dict[str, Tensor]:
        """Features by the names of `frozen_stages`: of those that `learned` goes on from, [B, C, h, w] each.

        images: [B, 3, H, W] in [0, 1]. Where every stage learns: "images", normalised.
        """
        features, names = self.scaled(images), self.frozen_stages
        if not names:
            return {"images": features}
        found: dict[str, Tensor] = {}
        for name in names:
            features = self.body[name](features)
            if name in self.taken or name == names[-1]:
                found[name] = features
        return found

    def learned(self, frozen: FeatureMaps) -> dict[str, Tensor]:
        """Maps as of `forward`, from the features that `frozen` gave."""
        *_, features = frozen.values()
        found = {name: of_stage for name, of_stage in frozen.items() if name in self.taken}
        for name in tuple(self.body)[len(self.frozen_stages) :]:
            features = self.body[name](features)
            if name in self.taken:
                found[name] = features
        maps: dict[str, Tensor] = self.fusion(
            {str(self.taken.index(name)): self.fitted(name, each) for name, each in found.items()}
        )
        return maps

    def fitted(self, stage: str, features: Tensor) -> Tensor:
        """A stage's map, of about the magnitude of a ResNet's."""
        return features / self.magnitudes[stage] if stage in self.magnitudes else features


class SingleMap(nn.Module):
    """A map brought to the common width, in place of the pyramid."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(channels, width, 1, bias=False)
        nn.init.kaiming_uniform_(self.lateral.weight, a=1)  # as the pyramid's own

    def forward(self, maps: FeatureMaps) -> dict[str, Tensor]:
        return {name: self.lateral(features) for name, features in maps.items()}


class DeformableConv(nn.Module):
    """A 3×3 convolution that learns where each of its nine samples is taken from.

    Its offsets start at zero, so that at first it equals the convolution it replaces; being new, they train
    even in a frozen stage. Source: Dai et al. 2017, eq. 2.
    """

    def __init__(self, replaced: nn.Conv2d) -> None:
        super().__init__()
        channels, stride = replaced.in_channels, replaced.stride[0]
        self.offset = nn.Conv2d(channels, 2 * 3 * 3, 3, stride=stride, padding=1)
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)
        self.conv = DeformConv2d(channels, replaced.out_channels, 3, stride=stride, padding=1, bias=False)
        self.conv.weight = replaced.weight

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] to [B, O, h, w]; in fp32, as bf16 is coarser than half a pixel beyond column 128."""
        with torch.autocast(features.device.type, enabled=False):
            exact = features.float()
            moved: Tensor = self.conv(exact, self.offset(exact))
        return moved.to(features.dtype)


def used_stages(settings: TlsddSettings) -> tuple[str, ...]:
    """Names of the stages up to the deepest that a map is taken from.

    Raises BlemishError for a single map deeper than the setting `deepest`.
    """
    deepest = settings.deepest if settings.feature_fusion else settings.single_map
    if STAGES.index(deepest) > STAGES.index(settings.deepest):
        raise BlemishError(
            f"single_map must not lie deeper than deepest={settings.deepest}. Received: {deepest}. "
            f"Use {settings.deepest}."
        )
    return stages_up_to(deepest)
