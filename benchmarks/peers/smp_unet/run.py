"""U-Net of segmentation-models-pytorch on an encoder up to stride 16: defect or surface by pixel.

Trained on crops, half of them about a defect's pixel, by Dice and cross entropy; whole images are predicted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.peers.answers import write_map
from benchmarks.peers.job import PeerRun, main, versions
from benchmarks.peers.task import TrainImage, read_task
from benchmarks.peers.vision import (
    LITE_MEAN,
    LITE_STD,
    MEAN,
    MODEL,
    STD,
    Channels,
    image_tensor,
    load_lite,
    load_resnet,
    prepare,
    scaled,
)

STRIDE = 16  # of the deepest map


@dataclass(frozen=True)
class Encoder:
    """name: that segmentation-models-pytorch has for it; unused: stage that lies behind the deepest map

    load: first weights into it; mean, std: scale of the images that it takes
    """

    name: str
    load: Callable[[nn.Module, Path | None], str]
    mean: Channels = MEAN
    std: Channels = STD
    unused: str | None = None


ENCODERS: Mapping[str, Encoder] = {
    "resnet50": Encoder("resnet50", load_resnet, unused="layer4"),
    # By its universal name, as that has Google's padding and norms.
    "efficientnet-lite0": Encoder("tu-tf_efficientnet_lite0", load_lite, LITE_MEAN, LITE_STD),
}


def encoder_of(job: PeerRun) -> Encoder:
    """The encoder that option "encoder" names."""
    return ENCODERS[job.option("encoder", "resnet50")]


def network(job: PeerRun) -> tuple[Any, str]:
    """The U-Net and a line on where its encoder starts from; the decoder is random."""
    encoder, channels = encoder_of(job), (256, 128, 64, 32)
    model = smp.Unet(
        encoder.name, encoder_depth=4, encoder_weights=None, decoder_channels=channels, classes=1
    )
    if encoder.unused:
        delattr(model.encoder, encoder.unused)
    return model, encoder.load(model.encoder, job.weights)


def fit(job: PeerRun) -> Mapping[str, Any]:
    generator, task = prepare(job), read_task(job.data)
    encoder = encoder_of(job)
    model, origin = network(job)
    model.train()
    rate, batch, size = job.option("rate", 3e-4), job.option("batch", 4), job.option("size", 256)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    dice = smp.losses.DiceLoss("binary", from_logits=True)
    steps = 0
    for number in job.paced():
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 + np.cos(np.pi * job.used())) / 2
        drawn = torch.randint(len(task.train), (batch,), generator=generator).tolist()
        views = [view_of(task.train[index], size, generator) for index in drawn]
        images, masks = (torch.stack(parts) for parts in zip(*views, strict=True))
        logits = model(scaled(images, encoder.mean, encoder.std))
        loss = dice(logits, masks) + F.binary_cross_entropy_with_logits(logits, masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps = number + 1
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, job.out / MODEL)
    releases = versions("segmentation-models-pytorch", "torch")
    return {"weights": origin, "steps": steps, "versions": releases}


def view_of(example: TrainImage, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A crop and its mask, [3, s, s] and [1, s, s], mirrored on either axis with even odds."""
    image = image_tensor(example.image)
    mask = np.asarray(Image.open(example.mask)) > 127 if example.mask else np.zeros(example.size, bool)
    both = torch.cat([image, torch.from_numpy(mask).float()[None]])
    both = padded(both, size)
    top, left = corner(both[3], size, generator)
    crop = both[:, top : top + size, left : left + size]
    across, down = torch.randint(2, (2,), generator=generator).tolist()
    crop = crop.flip([axis for axis, yes in ((-1, across), (-2, down)) if yes])
    return crop[:3], crop[3:]


def padded(both: Tensor, size: int) -> Tensor:
    """At least `size` a side; what is added is continued from the edge."""
    height, width = both.shape[-2:]
    more = (0, max(0, size - width), 0, max(0, size - height))
    return F.pad(both[None], more, mode="replicate")[0] if any(more) else both


def corner(mask: Tensor, size: int, generator: torch.Generator) -> tuple[int, int]:
    """Top and left of a crop: anywhere, or every other time about a pixel of a defect."""
    spare = [length - size + 1 for length in mask.shape]
    marked = torch.nonzero(mask > 0)
    if len(marked) and torch.randint(2, (1,), generator=generator):
        centre = marked[int(torch.randint(len(marked), (1,), generator=generator))] - size // 2
        return tuple(max(0, min(int(at), room - 1)) for at, room in zip(centre, spare, strict=True))
    return tuple(int(torch.randint(room, (1,), generator=generator)) for room in spare)


@torch.inference_mode()
def predict(job: PeerRun) -> Mapping[str, Any]:
    prepare(job)
    task, encoder = read_task(job.data), encoder_of(job)
    model, _ = network(job)
    model.load_state_dict(load_file(job.out / MODEL))
    model.eval()
    seconds = 0.0
    for target in task.predict:
        start = time.perf_counter()
        image = image_tensor(target.image)
        height, width = image.shape[-2:]
        more = (0, -width % STRIDE, 0, -height % STRIDE)
        padded_image = F.pad(image[None], more, mode="replicate")
        scores = model(scaled(padded_image, encoder.mean, encoder.std)).sigmoid()
        seconds += time.perf_counter() - start
        write_map(job.out, target.id, scores[0, 0, :height, :width].numpy())
    return {"seconds_per_image": seconds / len(task.predict)}


if __name__ == "__main__":
    main(fit, predict)
