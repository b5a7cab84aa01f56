"""ImageNet backbones by name, with weights downloaded by torchvision, from a safetensors file, or none.

A file may hold part of a network (a backbone without its last stage, say): what it lacks keeps its initial
values, and the caller is told which. Weights of the original ResNet want each stage's stride in its first 1×1
convolution, where torchvision's own want it in the 3×3; a file does not say which it is, so the caller does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from urllib.error import URLError

import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import ResNet

from blemish.errors import BlemishError, nearest_name


def resnet(name: str, weights: str, *, setting: str, original_strides: bool = False) -> tuple[ResNet, str]:
    """A torchvision ResNet and a line on where its weights are from.

    name: "resnet18" … "resnet101"; weights: "imagenet", "none", or a path to a .safetensors file
    original_strides: the stride of layer2 to layer4 sits in the first 1×1 convolution (bottleneck ResNets
        only)
    setting: name of the setting that `weights` was given by, for messages
    Raises BlemishError when the weights cannot be had or do not fit.
    """
    network = download(name, setting) if weights == "imagenet" else build(name, None)
    if original_strides:
        use_original_strides(network, setting)
    if weights == "imagenet":
        return network, f"{name}: torchvision's ImageNet weights"
    if weights == "none":
        return network, f"{name}: random initial weights"
    return network, f"{name}: {load_partial(network, Path(weights), setting=setting)}"


def build(name: str, weights: str | None) -> ResNet:
    return torchvision.models.get_model(name, weights=weights)


def download(name: str, setting: str) -> ResNet:
    try:
        with redirect_stdout(sys.stderr):  # torch announces the download on standard output
            return build(name, "DEFAULT")
    except (URLError, OSError, RuntimeError) as error:
        raise BlemishError(
            f"{setting}=imagenet: the weights of {name} could not be downloaded ({error}). "
            f"Set {setting} to a .safetensors file or to none."
        ) from error


def load_partial(network: nn.Module, path: Path, *, setting: str) -> str:
    """Copy what the file holds into the network; returns one line that names what stays at its initial
    values.

    Raises BlemishError for a missing or unreadable file, a name the network does not have, or another shape.
    """
    tensors = read_tensors(path, setting)
    own = network.state_dict()
    for name, tensor in tensors.items():
        refuse_misfit(name, tensor, own, path, setting)
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    missing = top_level(name for name in own if name not in tensors and "num_batches" not in name)
    return f"weights of {path.name}" + (f"; initial values in {', '.join(missing)}" if missing else "")


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
