"""anomalib's SuperSimpleNet, supervised: heads on frozen ImageNet features learn from masks and from noise.

Its module is trained as anomalib's own does it, with all marked defects beside the noise on features that
stands for others; what answers is its score of the image. Source: Rolih, Fučka & Skočaj 2024.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from anomalib.models.image.supersimplenet.loss import SSNLoss
from anomalib.models.image.supersimplenet.torch_model import SupersimplenetModel
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet50

from benchmarks.peers.job import PeerRun, main, versions
from benchmarks.peers.task import TrainImage, read_task
from benchmarks.peers.vision import MODEL, image_tensor, load_resnet, prepare, scaled, write_image_scores

RATES, DECAY = (1e-4, 2e-4), (1e-2, 1e-5)  # of the adaptor and of the heads, as in anomalib
FALLS, FALL = (0.8, 0.9), 0.4  # shares of the time at which the rates fall, and to what share of themselves
CLIP = 1.0


def network(job: PeerRun) -> tuple[SupersimplenetModel, str]:
    """The module on a ResNet-50 and a line on where that starts from."""
    backbone = resnet50(weights=None)
    origin = load_resnet(backbone, job.weights)
    return SupersimplenetModel(backbone=backbone, layers=["layer2", "layer3"], stop_grad=False), origin


def learning_parts(model: SupersimplenetModel) -> nn.ModuleDict:
    """The adaptor and the heads; the ResNet stays as its file has it."""
    return nn.ModuleDict({"adaptor": model.adaptor, "heads": model.segdec})


def fit(job: PeerRun) -> Mapping[str, Any]:
    generator, task = prepare(job), read_task(job.data)
    model, origin = network(job)
    model.train()
    parts = learning_parts(model)
    optimiser = torch.optim.AdamW([
        {"params": part.parameters(), "lr": rate, "weight_decay": decay}
        for part, rate, decay in zip(parts.values(), RATES, DECAY, strict=True)
    ])  # fmt: skip
    loss_of, batch = SSNLoss(), job.option("batch", 4)
    kinds = [[image for image in task.train if image.defective is kind] for kind in (False, True)]
    steps = 0
    for number in job.paced():
        share = FALL ** sum(job.used() > fall for fall in FALLS)
        for group, rate in zip(optimiser.param_groups, RATES, strict=True):
            group["lr"] = share * rate
        chosen = [drawn(kinds[place % 2] or task.train, generator) for place in range(batch)]
        images, masks, labels = batch_of(chosen, job)
        anomaly_map, score, masks, labels = model(images, masks, labels)
        loss = loss_of(anomaly_map, score, masks, labels)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), CLIP)
        optimiser.step()
        steps = number + 1
    save_file({name: tensor.contiguous() for name, tensor in parts.state_dict().items()}, job.out / MODEL)
    return {"weights": origin, "steps": steps, "versions": versions("anomalib", "torch")}


def drawn(images: Sequence[TrainImage], generator: torch.Generator) -> TrainImage:
    return images[int(torch.randint(len(images), (1,), generator=generator))]


def batch_of(chosen: Sequence[TrainImage], job: PeerRun) -> tuple[Tensor, Tensor, Tensor]:
    """Images [B, 3, s, s], masks [B, s, s] and labels [B] of training images."""
    images = torch.cat([squared(example.image, job) for example in chosen])
    masks = torch.stack([mask_of(example, images.shape[-1]) for example in chosen])
    return images, masks, torch.tensor([float(example.defective) for example in chosen])


def squared(path: str, job: PeerRun) -> Tensor:
    """[1, 3, s, s], as its ImageNet weights expect."""
    size = job.option("size", 256)
    image = F.interpolate(image_tensor(path)[None], (size, size), mode="bilinear", antialias=True)
    return scaled(image)


def mask_of(example: TrainImage, size: int) -> Tensor:
    """Mask [s, s] of the defects, 1 where any of the pixels that it stands for is one."""
    mask = np.asarray(Image.open(example.mask)) > 127 if example.mask else np.zeros(example.size, bool)
    return F.adaptive_max_pool2d(torch.from_numpy(mask).float()[None], size)[0]


@torch.inference_mode()
def predict(job: PeerRun) -> Mapping[str, Any]:
    prepare(job)
    task = read_task(job.data)
    model, _ = network(job)
    learning_parts(model).load_state_dict(load_file(job.out / MODEL))
    model.eval()
    seconds = write_image_scores(job, task, lambda path: float(model(squared(path, job)).pred_score))
    return {"seconds_per_image": seconds}


if __name__ == "__main__":
    main(fit, predict)
