"""ResNets of torchvision by name, whole or up to one of their stages, with their weights.

Weights are downloaded by torchvision, read from a safetensors file, or drawn at random. Those of the original
ResNet want each stage's stride in its first 1×1 convolution, where torchvision's own want it in the 3×3; a
file does not say which it is, so the caller does. A detector, whose batches are small, keeps the statistics
that came with the weights (`FrozenNorm`). Letters: B batch, H, W.
Source: torchvision's names of a ResNet's parts and its ImageNet transforms.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import DeformConv2d, FrozenBatchNorm2d

from blemish.errors import BlemishError, UnavailableError
from blemish.nn.weights import load_partial

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
ANSWER_SECONDS = 10.0  # for which a silent server is waited for


def resnet(
    name: str,
    weights: str,
    *,
    setting: str,
    original_strides: bool = False,
    frozen_norm: bool = False,
    unused: Sequence[str] = (),
) -> tuple[ResNet, str]:
    """Build a torchvision ResNet; return it and a line on where its weights are from.

    name: "resnet18" … "resnet101"; weights: "imagenet", "none", or a path to a .safetensors file
    original_strides: the stride of layer2 to layer4 sits in the first 1×1 convolution (bottleneck ResNets
        only)
    frozen_norm: batch norms neither learn nor follow the batch, in training as in eval mode
    unused: parts that the caller does without, such as "fc", so that a file need not hold them
    setting: name of the setting that gave `weights`, for messages
    Raises BlemishError when the weights cannot be had or do not fit.
    """
    norm = FrozenNorm if frozen_norm else nn.BatchNorm2d
    if weights == "imagenet":
        network = download(name, setting, norm)
    else:
        network = torchvision.models.get_model(name, weights=None, norm_layer=norm)
    if original_strides:
        use_original_strides(network, setting)
    if weights == "imagenet":
        return network, f"{name}: torchvision's ImageNet weights"
    if frozen_norm:
        damp_branches(network)
    if weights == "none":
        return network, f"{name}: random initial weights"
    return network, f"{name}: {load_partial(network, Path(weights), setting=setting, unused=unused)}"


def resnet_stages(
    name: str, weights: str, *, deepest: str, setting: str, original_strides: bool = False
) -> tuple[nn.ModuleDict, str]:
    """Build a ResNet with frozen norms up to a stage; return its stages by name and a line as `resnet` does.

    deepest: one of STAGES; a file of weights need not hold what lies behind it
    Raises BlemishError when the weights cannot be had or do not fit.
    """
    used = stages_up_to(deepest)
    network, origin = resnet(
        name,
        weights,
        setting=setting,
        original_strides=original_strides,
        frozen_norm=True,
        unused=("fc", *(stage for stage in STAGES if stage not in used)),
    )
    return stages_of(network, used), origin


def stages_up_to(deepest: str) -> tuple[str, ...]:
    """Names of the stages up to that one, the stem being all before layer1."""
    return STAGES[: STAGES.index(deepest) + 1]


def stages_of(backbone: ResNet, used: Sequence[str]) -> nn.ModuleDict:
    """The named stages of a ResNet."""
    stem = nn.Sequential(backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool)
    return nn.ModuleDict({name: stem if name == "stem" else getattr(backbone, name) for name in used})


def out_channels(stage: nn.Module) -> int:
    """Channels of a ResNet stage's output: those of its last convolution, which may be deformable."""
    convolutions = [module for module in stage.modules() if isinstance(module, nn.Conv2d | DeformConv2d)]
    return int(convolutions[-1].out_channels)


class ImagenetScale(nn.Module):
    """Normalise images by the mean and standard deviation of ImageNet's channels."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images, [B, 3, H, W]. images: [B, 3, H, W] in [0, 1]"""
        return (images - self.mean) / self.std


class FrozenNorm(FrozenBatchNorm2d):  # type: ignore[misc]  # torchvision has no types
    """Frozen batch norm in one kernel that keeps the input's dtype; torchvision's returns fp32 for bf16."""

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def damp_branches(network: ResNet) -> None:
    """Scale every block's last norm to 1/√blocks, since frozen norms do not normalise random weights.

    Each of n blocks adds its branch's variance to the stream's; damped, it grows by (1 + 1/n)ⁿ < e instead of
    2ⁿ. Weights loaded afterwards bring their own scales.
    """
    blocks = [block for block in network.modules() if isinstance(block, BasicBlock | Bottleneck)]
    for block in blocks:
        last = block.bn3 if isinstance(block, Bottleneck) else block.bn2
        last.weight.fill_(len(blocks) ** -0.5)


def is_cached(name: str) -> bool:
    """True where torchvision's ImageNet weights of a ResNet lie in its cache."""
    file = Path(torchvision.models.get_model_weights(name).DEFAULT.url).name
    return (Path(torch.hub.get_dir()) / "checkpoints" / file).is_file()


def download_quickly(name: str, setting: str) -> None:
    """Download a ResNet's ImageNet weights into the cache, unless no server answers in some seconds.

    Raises UnavailableError where they cannot be had.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(ANSWER_SECONDS)
    try:
        download(name, setting, nn.BatchNorm2d)
    finally:
        socket.setdefaulttimeout(before)


def download(name: str, setting: str, norm: type[nn.Module]) -> ResNet:
    """Build a ResNet with torchvision's ImageNet weights. Raises BlemishError where they cannot be had."""
    try:
        with redirect_stdout(sys.stderr):  # torch announces the download on standard output
            return torchvision.models.get_model(name, weights="DEFAULT", norm_layer=norm)
    except (URLError, OSError, RuntimeError) as error:
        raise UnavailableError(
            f"{setting}=imagenet: the weights of {name} could not be downloaded ({error}). "
            f"Without internet, put {torchvision.models.get_model_weights(name).DEFAULT.url} into "
            f"{Path(torch.hub.get_dir()) / 'checkpoints'}, or add --set {setting}=FILE.safetensors, or "
            f"--set {setting}=none for random weights, which need more images."
        ) from error


def use_original_strides(network: nn.Module, setting: str) -> None:
    """Move the stride of layer2 to layer4 from the 3×3 to the first 1×1 convolution."""
    for stage in ("layer2", "layer3", "layer4"):
        block = getattr(network, stage)[0]
        if not hasattr(block, "conv3"):
            raise BlemishError(
                f"{setting}: original strides need a bottleneck backbone. Use resnet50 or resnet101."
            )
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
