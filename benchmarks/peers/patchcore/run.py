"""anomalib's PatchCore: a memory of patches of normal training images, scored by the nearest of them.

The memory is 1 % (option share) of at most 100,000 patches (pool), as many of each image, where anomalib's
default is 10 % of all: choosing it grows with the square of their number, and takes a core minutes so.
Where the time ends while images are read, the memory is of those that were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from benchmarks.peers.job import PeerRun, main, versions
from benchmarks.peers.task import read_task
from benchmarks.peers.vision import MODEL, image_tensor, load_resnet, prepare, scaled, write_image_scores

READING = 0.25  # share of the time after its imports in which images are read


def memory(job: PeerRun) -> tuple[PatchcoreModel, str]:
    model = PatchcoreModel(layers=["layer2", "layer3"], backbone="resnet50", pre_trained=False)
    origin = load_resnet(model.feature_extractor.feature_extractor, job.weights)
    return model, origin


def squared(path: str, job: PeerRun) -> Tensor:
    """[1, 3, s, s], as its ImageNet weights expect."""
    size = job.option("size", 256)
    image = F.interpolate(image_tensor(path)[None], (size, size), mode="bilinear", antialias=True)
    return scaled(image)


@torch.no_grad()
def fit(job: PeerRun) -> Mapping[str, Any]:
    generator, task = prepare(job), read_task(job.data)
    model, origin = memory(job)
    model.train()
    model.feature_extractor.eval()
    normal = [image for image in task.train if not image.defective]
    each = max(1, job.option("pool", 100_000) // len(normal))
    steps, begun = 0, job.used()
    for number in torch.randperm(len(normal), generator=generator).tolist():
        if steps and job.used() > begun + READING * (1 - begun):
            break
        model(squared(normal[number].image, job))
        found = model.embedding_store.pop()
        drawn = torch.randperm(len(found), generator=generator)[:each]
        model.embedding_store.append(found[drawn])
        steps += 1
    model.subsample_embedding(job.option("share", 0.01))
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, job.out / MODEL)
    return {"weights": origin, "steps": steps, "versions": versions("anomalib", "torch")}


@torch.inference_mode()
def predict(job: PeerRun) -> Mapping[str, Any]:
    prepare(job)
    task = read_task(job.data)
    model, _ = memory(job)
    tensors = load_file(job.out / MODEL)
    model.memory_bank = tensors["memory_bank"]
    model.load_state_dict(tensors)
    model.eval()
    seconds = write_image_scores(job, task, lambda path: float(model(squared(path, job)).pred_score))
    return {"seconds_per_image": seconds}


if __name__ == "__main__":
    main(fit, predict)
