"""ImageNet backbones by name, with weights downloaded by torchvision, from a safetensors file, or none.

A file may hold part of a network (a backbone without its last stage, say): what it lacks keeps its initial
values, and the caller is told which. Weights of the original ResNet want each stage's stride in its first 1×1
convolution, where torchvision's own want it in the 3×3; a file does not say which it is, so the caller does.
A detector, whose batches are small, keeps the statistics that came with the weights (`FrozenNorm`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import FrozenBatchNorm2d

from blemish.errors import BlemishError, nearest_name

Norm = type[nn.Module]


def resnet(
    name: str,
    weights: str,
    *,
    setting: str,
    original_strides: bool = False,
    frozen_norm: bool = False,
    unused: Sequence[str] = (),
) -> tuple[ResNet, str]:
    """A torchvision ResNet and a line on where its weights are from.

    name: "resnet18" … "resnet101"; weights: "imagenet", "none", or a path to a .safetensors file
    original_strides: the stride of layer2 to layer4 sits in the first 1×1 convolution (bottleneck ResNets
        only)
    frozen_norm: batch norms neither learn nor follow the batch, in training as in eval mode
    unused: parts that the caller does without, such as "fc", so that a file need not hold them
    setting: name of the setting that `weights` was given by, for messages
    Raises BlemishError when the weights cannot be had or do not fit.
    """
    norm = FrozenNorm if frozen_norm else nn.BatchNorm2d
    network = download(name, setting, norm) if weights == "imagenet" else build(name, None, norm)
    if original_strides:
        use_original_strides(network, setting)
    if weights == "imagenet":
        return network, f"{name}: torchvision's ImageNet weights"
    if frozen_norm:
        damp_branches(network)
    if weights == "none":
        return network, f"{name}: random initial weights"
    return network, f"{name}: {load_partial(network, Path(weights), setting=setting, unused=unused)}"


class FrozenNorm(FrozenBatchNorm2d):  # type: ignore[misc]  # torchvision has no types
    """torchvision's, as one kernel that keeps the input's dtype: its own returns fp32 for bf16 features."""

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


def build(name: str, weights: str | None, norm: Norm) -> ResNet:
    return torchvision.models.get_model(name, weights=weights, norm_layer=norm)


def download(name: str, setting: str, norm: Norm) -> ResNet:
    try:
        with redirect_stdout(sys.stderr):  # torch announces the download on standard output
            return build(name, "DEFAULT", norm)
    except (URLError, OSError, RuntimeError) as error:
        raise BlemishError(
            f"{setting}=imagenet: the weights of {name} could not be downloaded ({error}). "
            f"Set {setting} to a .safetensors file or to none."
        ) from error


def load_partial(network: nn.Module, path: Path, *, setting: str, unused: Sequence[str] = ()) -> str:
    """Copy what the file holds into the network; returns one line that names what stays at its initial
    values.

    unused: parts that the line leaves out
    Raises BlemishError for a missing or unreadable file, a name the network does not have, or another shape.
    """
    own = network.state_dict()
    tensors = {
        name: tensor
        for name, tensor in read_tensors(path, setting).items()
        if name in own or not name.endswith("num_batches_tracked")  # frozen norms count none
    }
    for name, tensor in tensors.items():
        refuse_misfit(name, tensor, own, path, setting)
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    lacking = top_level(name for name in own if name not in tensors and "num_batches" not in name)
    missing = [part for part in lacking if part not in unused]
    return f"weights of {path.name}" + (f"; initial values in {', '.join(missing)}" if missing else "")


def load_state(network: nn.Module, tensors: Mapping[str, Any], source: str) -> None:
    """Copy a bundle's tensors into a network. Raises BlemishError where they do not fit.

    source: the bundle, for the message
    """
    copies = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    try:
        network.load_state_dict(copies)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise BlemishError(
            f"{source}: its network does not fit the settings: {reason} Leave settings of the network out."
        ) from error


def read_tensors(path: Path, setting: str) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise BlemishError(f"{setting}: {path} is not a file. Give imagenet, none or a .safetensors file.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BlemishError(f"{setting}: {path} holds no safetensors data. Give another file.") from error


def refuse_misfit(name: str, tensor: Tensor, own: Mapping[str, Tensor], path: Path, setting: str) -> None:
    if name not in own:
        raise BlemishError(
            f"{setting}: {path} holds '{name}', which this network lacks.{nearest_name(name, own)}"
        )
    if tensor.shape != own[name].shape:
        shapes = f"{list(tensor.shape)}, must be {list(own[name].shape)}"
        raise BlemishError(f"{setting}: {path}: shape of '{name}' is {shapes}. Use weights of this backbone.")


def use_original_strides(network: nn.Module, setting: str) -> None:
    """Move the stride of layer2 to layer4 from the 3×3 to the first 1×1 convolution."""
    for stage in ("layer2", "layer3", "layer4"):
        block = getattr(network, stage)[0]
        if not hasattr(block, "conv3"):
            raise BlemishError(
                f"{setting}: original strides need a bottleneck backbone. Use resnet50 or resnet101."
            )
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)


def top_level(names: Iterable[str]) -> list[str]:
    """First parts of dotted names, each once, in order."""
    return list(dict.fromkeys(name.split(".")[0] for name in names))
