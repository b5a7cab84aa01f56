"""Loading weights from files and bundles into networks; a message names the setting and what does not fit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from blemish.errors import BlemishError, nearest_name

BLOCK = re.compile(r"(layer[1-4])\.(\d+)\.(conv\d)\.weight")
RESNETS: Mapping[str, tuple[tuple[int, ...], bool]] = {  # blocks of each layer; whether they are bottlenecks
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
}


def load_partial(network: nn.Module, path: Path, *, setting: str, unused: Sequence[str] = ()) -> str:
    """Copy a safetensors file's tensors into a network; return a line that names parts the file lacks.

    The file may hold part of the network: the rest keeps its initial values.
    setting: name of the setting that gave the path, for messages; unused: parts that the line leaves out
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
    absent = (name.split(".")[0] for name in own if name not in tensors and "num_batches" not in name)
    missing = [part for part in dict.fromkeys(absent) if part not in unused]
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
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BlemishError(f"{setting}: {path} holds no safetensors data. Give another file.") from error
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor.float()).all():
            raise BlemishError(f"{setting}: {path}: tensor '{name}' must be finite. Give another file.")
    return tensors


def resnets_in(path: Path, setting: str, *, among: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Names of the ResNets whose weights a safetensors file holds, and the last of its layers there.

    There are several where the file ends before they differ. among: names that are allowed, others are not
    looked for
    Raises BlemishError for a missing or unreadable file, and for one that holds no such ResNet's first layer.
    """
    blocks: dict[str, int] = defaultdict(int)
    bottleneck = False
    for name in read_tensors(path, setting):
        if found := BLOCK.match(name):
            stage, number, part = found.groups()
            blocks[stage] = max(blocks[stage], int(number) + 1)
            bottleneck |= part == "conv3"
    numbers = tuple(blocks[stage] for stage in sorted(blocks))
    allowed = {name: RESNETS[name] for name in RESNETS if name in among}
    fitting = tuple(
        name
        for name, (of_all, is_bottleneck) in allowed.items()
        if numbers and bottleneck == is_bottleneck and numbers == of_all[: len(numbers)]
    )
    if fitting:
        return fitting, max(blocks)
    raise BlemishError(
        f"{setting}: {path} must hold the layers of {', '.join(allowed)} by torchvision's names, from layer1 "
        "on. Give another file, imagenet or none."
    )


def refuse_misfit(name: str, tensor: Tensor, own: Mapping[str, Tensor], path: Path, setting: str) -> None:
    if name not in own:
        raise BlemishError(
            f"{setting}: {path} holds '{name}', which this network lacks.{nearest_name(name, own)}"
        )
    if tensor.shape != own[name].shape:
        shapes = f"{list(tensor.shape)}, must be {list(own[name].shape)}"
        raise BlemishError(f"{setting}: {path}: shape of '{name}' is {shapes}. Use weights of this backbone.")
