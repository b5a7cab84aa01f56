"""Shared by the peers that run on torch: images as tensors, weights from a file, threads and seeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.peers.answers import write_scores
from benchmarks.peers.job import PeerRun
from benchmarks.peers.task import Task

MODEL = "model.safetensors"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as its weights expect
LITE_MEAN, LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3  # as EfficientNet-Lite's weights expect

Channels = tuple[float, float, float]


def prepare(job: PeerRun) -> torch.Generator:
    """Threads and seeds; returns the generator of the run's own draws."""
    torch.set_num_threads(job.cores)
    torch.manual_seed(job.seed)
    return torch.Generator().manual_seed(job.seed)


def image_tensor(path: str) -> Tensor:
    """[3, H, W] in [0, 1], turned as its EXIF says."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255


def scaled(images: Tensor, mean: Channels = MEAN, std: Channels = STD) -> Tensor:
    """Images [B, 3, H, W] in [0, 1] to the scale of the weights, by default that of ImageNet."""
    means, deviations = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    return (images - means) / deviations


def load_resnet(network: nn.Module, weights: Path | None) -> str:
    """Weights under torchvision's names into a ResNet-50; returns a line on where it starts from.

    A file without fc and layer4 is that of the original ResNet, whose strides sit in the first convolution of
    a block. Raises ValueError for a file that is of another network.
    """
    if weights is None:
        return "random weights"
    tensors = load_file(weights)
    if not any(name.startswith("layer4") for name in tensors):
        for stage in ("layer2", "layer3"):
            block: Any = network.get_submodule(f"{stage}.0")
            block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
    own = network.state_dict()
    fitting = {name: tensor.float() for name, tensor in tensors.items() if name in own}
    if not fitting:
        raise ValueError(f"{weights} must hold a ResNet's weights under torchvision's names. Received: none.")
    network.load_state_dict(fitting, strict=False)
    lacking = {name.split(".")[0] for name in own if name not in tensors and "num_batches" not in name}
    return weights.name + (f"; random in {', '.join(sorted(lacking))}" if lacking else "")


def load_lite(network: nn.Module, weights: Path | None) -> str:
    """Google's weights of EfficientNet-Lite0 into timm's network of that name, as a whole or without its last
    stages; returns a line on where it starts from.

    Names differ, the order does not: both list the layers from first to last.
    Raises ValueError for a file that is of another network.
    """
    if weights is None:
        return "random weights"
    counts = "num_batches_tracked"
    file = torch.load(weights, map_location="cpu", weights_only=True)
    tensors = [tensor for name, tensor in file.items() if not name.endswith(counts)]
    names = [name for name in network.state_dict() if not name.endswith(counts)]
    own = network.state_dict()
    if len(tensors) < len(names) or any(
        own[name].shape != tensor.shape for name, tensor in zip(names, tensors, strict=False)
    ):
        raise ValueError(f"{weights} must hold EfficientNet-Lite0's weights. Received: another network's.")
    network.load_state_dict(dict(zip(names, tensors, strict=False)), strict=False)
    return weights.name


def write_image_scores(job: PeerRun, task: Task, score: Callable[[str], float]) -> float:
    """Write the score of each image to predict on; returns seconds an image. score: from an image's path"""
    start = time.perf_counter()
    scores = {image.id: score(image.image) for image in task.predict}
    seconds = (time.perf_counter() - start) / len(task.predict)
    write_scores(job.out, scores)
    return seconds
