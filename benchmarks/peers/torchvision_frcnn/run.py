"""torchvision's Faster R-CNN with ResNet-50 and FPN, fine-tuned as its own reference script does.

Its schedule is of its share of time instead of epochs: warm-up, then a tenth of the rate from 62 % and again
from 85 %. The FPN stands on layer1 to layer3 where the weights end there.
Source: torchvision's detection references.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models import resnet50
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from benchmarks.peers.answers import Found, write_boxes
from benchmarks.peers.job import PeerRun, main, versions
from benchmarks.peers.task import TrainImage, read_task
from benchmarks.peers.vision import MODEL, image_tensor, load_resnet, prepare

SHAPES = (0.5, 1.0, 2.0)
# Lowest score and greatest number of detections of an image, so that all of a curve is there.
MIN_SCORE, MAX_DETECTIONS = 0.001, 100


def detector(classes: int, job: PeerRun) -> tuple[FasterRCNN, str]:
    """Options: size, shorter side of its input in pixels; regions of an image that its head learns from;
    proposals that it judges when it predicts.
    """
    size = job.option("size", 320)
    network = resnet50(weights=None, norm_layer=FrozenBatchNorm2d if job.weights else torch.nn.BatchNorm2d)
    del network.fc, network.layer4
    origin = load_resnet(network, job.weights)
    if job.weights:
        for part in (network.conv1, network.layer1):
            part.requires_grad_(False)
    stages = {"layer1": "0", "layer2": "1", "layer3": "2"}
    backbone = BackboneWithFPN(network, stages, [256, 512, 1024], 256, extra_blocks=LastLevelMaxPool())
    anchors = AnchorGenerator(tuple((side,) for side in (32, 64, 128, 256)), (SHAPES,) * 4)
    model = FasterRCNN(
        backbone,
        classes + 1,
        min_size=size,
        max_size=max(1333, size),
        rpn_anchor_generator=anchors,
        box_batch_size_per_image=job.option("regions", 512),
        rpn_post_nms_top_n_test=job.option("proposals", 1000),
        box_score_thresh=MIN_SCORE,
        box_detections_per_img=MAX_DETECTIONS,
    )
    return model, origin


def fit(job: PeerRun) -> Mapping[str, Any]:
    generator, task = prepare(job), read_task(job.data)
    model, origin = detector(len(task.classes), job)
    rate, batch = job.option("rate", 0.005), job.option("batch", 2)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=rate, momentum=0.9, weight_decay=5e-4)
    model.train()
    order: list[int] = []
    steps = 0
    for number in job.paced():
        if len(order) < batch:
            order += torch.randperm(len(task.train), generator=generator).tolist()
        views = [view_of(task.train[order.pop(0)], generator) for _ in range(batch)]
        for group in optimiser.param_groups:
            group["lr"] = rate * share_of_rate(job.used())
        step(model, views, optimiser)
        steps = number + 1
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, job.out / MODEL)
    return {"weights": origin, "steps": steps, "versions": versions("torch", "torchvision")}


def share_of_rate(used: float) -> float:
    warm = min(1.0, 0.001 + used / 0.05)
    return warm * (0.01 if used > 0.85 else 0.1 if used > 0.62 else 1.0)


def step(model: FasterRCNN, views: Sequence[tuple[Tensor, dict[str, Tensor]]], optimiser: Any) -> None:
    losses = model([image for image, _ in views], [target for _, target in views])
    loss = sum(losses.values())
    if not torch.isfinite(loss):
        raise SystemExit(f"The loss is {loss.item()}: lower the option rate.")
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def view_of(example: TrainImage, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """The image and its truth, mirrored on either axis with even odds."""
    image, boxes = (
        image_tensor(example.image),
        torch.tensor(example.boxes, dtype=torch.float32).reshape(-1, 4),
    )
    across, down = torch.randint(2, (2,), generator=generator).tolist()
    height, width = image.shape[-2:]
    if across:
        image, boxes = image.flip(-1), boxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1])
        boxes = boxes + torch.tensor([width, 0, width, 0])
    if down:
        image, boxes = image.flip(-2), boxes[:, [0, 3, 2, 1]] * torch.tensor([1, -1, 1, -1])
        boxes = boxes + torch.tensor([0, height, 0, height])
    return image, {"boxes": boxes, "labels": torch.tensor(example.labels, dtype=torch.int64) + 1}


@torch.inference_mode()
def predict(job: PeerRun) -> Mapping[str, Any]:
    prepare(job)
    task = read_task(job.data)
    model, _ = detector(len(task.classes), job)
    model.load_state_dict(load_file(job.out / MODEL))
    model.eval()
    start, found = time.perf_counter(), dict[str, list[Found]]()
    for target in task.predict:
        (answer,) = model([image_tensor(target.image)])
        values = zip(
            answer["boxes"].tolist(), answer["labels"].tolist(), answer["scores"].tolist(), strict=True
        )
        found[target.id] = [(tuple(box), label - 1, score) for box, label, score in values]
    seconds = (time.perf_counter() - start) / len(task.predict)
    write_boxes(job.out, task, found)
    return {"seconds_per_image": seconds}


if __name__ == "__main__":
    main(fit, predict)
