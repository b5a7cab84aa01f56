"""anomalib's EfficientAD (small): a student and an autoencoder learn what a teacher makes of normal images.

Its teacher's weights, and ImageNet images on which the student is kept from following, are downloads that
are not assumed: without --weights (anomalib's own .pth) the teacher is random, and without option `pictures`
(a folder of folders of images) the penalty is on the training images with their patches shuffled.
The quantiles that scale both maps are of normal training images that were set apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from anomalib.models import EfficientAd
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from benchmarks.peers.job import PeerRun, main, versions
from benchmarks.peers.task import read_task
from benchmarks.peers.vision import MODEL, image_tensor, prepare, write_image_scores

APART = 0.1  # share of normal images that are kept for the quantiles
# Shares of the time at which steps begin, at which their rate falls to a tenth, and at which they end.
BEGIN, DROP, END = 0.2, 0.85, 0.9
CELLS = 8  # an image is shuffled in this many cells a side


def squared(path: str, job: PeerRun) -> Tensor:
    """[1, 3, s, s] in [0, 1]; its network scales it itself."""
    size = job.option("size", 256)
    return F.interpolate(image_tensor(path)[None], (size, size), mode="bilinear", antialias=True)


def fit(job: PeerRun) -> Mapping[str, Any]:
    generator, task = prepare(job), read_task(job.data)
    module, origin = new_module(job)
    normal = [image.image for image in task.train if not image.defective]
    normal = [normal[number] for number in torch.randperm(len(normal), generator=generator).tolist()]
    apart = max(1, round(APART * len(normal)))
    quantiles, training = normal[:apart], normal[apart:]
    with torch.no_grad():
        module.model.mean_std.update(module.teacher_channel_mean_std(batches(training, job, BEGIN)))
    folder = job.options.get("pictures")
    others = sorted(str(file) for file in Path(folder).rglob("*") if file.is_file()) if folder else []
    steps = optimise(module, training, others, job, generator)
    module.model.eval()
    with torch.no_grad():
        module.model.quantiles.update(module.map_norm_quantiles(batches(quantiles, job, 1.0)))
    save_file(
        {name: tensor.contiguous() for name, tensor in module.model.state_dict().items()}, job.out / MODEL
    )
    return {"weights": origin, "steps": steps, "versions": versions("anomalib", "torch")}


def new_module(job: PeerRun) -> tuple[EfficientAd, str]:
    module = EfficientAd(model_size="small")
    if job.weights is None:
        return module, "random teacher"
    module.model.teacher.load_state_dict(torch.load(job.weights, map_location="cpu", weights_only=True))
    return module, job.weights.name


def batches(paths: Sequence[str], job: PeerRun, until: float) -> Iterator[SimpleNamespace]:
    """Batches of one normal image, for the module's own statistics, up to a share of the time."""
    for number, path in enumerate(paths):
        if number and job.used() > until:
            return
        yield SimpleNamespace(image=squared(path, job), gt_label=torch.zeros(1))


def optimise(
    module: EfficientAd,
    training: Sequence[str],
    others: Sequence[str],
    job: PeerRun,
    generator: torch.Generator,
) -> int:
    """Train until the time is over; returns the number of steps."""
    model = module.model.train()
    model.teacher.eval()
    trained = [*model.student.parameters(), *model.ae.parameters()]
    optimiser = torch.optim.Adam(trained, lr=module.lr, weight_decay=module.weight_decay)
    steps = 0
    for number in job.paced(END):
        if job.used() > DROP:
            optimiser.param_groups[0]["lr"] = module.lr / 10
        image, other = squared(drawn(training, generator), job), drawn(others or training, generator)
        away = squared(other, job) if others else shuffled(squared(other, job), generator)
        loss = sum(model(batch=image, batch_imagenet=away))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps = number + 1
    return steps


def drawn(paths: Sequence[str], generator: torch.Generator) -> str:
    return paths[int(torch.randint(len(paths), (1,), generator=generator))]


def shuffled(image: Tensor, generator: torch.Generator) -> Tensor:
    """The image with its cells in another order. [1, 3, s, s]"""
    side = image.shape[-1] // CELLS
    cells = F.unfold(image[..., : side * CELLS, : side * CELLS], side, stride=side)
    order = torch.randperm(cells.shape[-1], generator=generator)
    mixed = F.fold(cells[..., order], (side * CELLS, side * CELLS), side, stride=side)
    return F.interpolate(mixed, image.shape[-2:])


@torch.inference_mode()
def predict(job: PeerRun) -> Mapping[str, Any]:
    prepare(job)
    task = read_task(job.data)
    model = EfficientAd(model_size="small").model
    model.load_state_dict(load_file(job.out / MODEL))
    model.eval()
    seconds = write_image_scores(job, task, lambda path: float(model(squared(path, job)).pred_score))
    return {"seconds_per_image": seconds}


if __name__ == "__main__":
    main(fit, predict)
