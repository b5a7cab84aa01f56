"""Rows of peers: fitted on the training images of one product, the threshold from its validation images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.tables.experiment import Row
from benchmarks.tables.peers.features import Backbone, patches, pooled
from benchmarks.tables.peers.inference import NETWORK, PeerInference, square
from benchmarks.tables.peers.linear import LinearProbe, fitted_rule
from benchmarks.tables.peers.nearest import NearestFeature
from benchmarks.tables.peers.patch_memory import PatchMemory, coreset
from benchmarks.tables.peers.settings import (
    PEER_SETTINGS,
    LinearProbeSettings,
    NearestFeatureSettings,
    PatchMemorySettings,
    PeerSettings,
)
from benchmarks.tables.place import Table
from blemish.dataset.product_sets.products import normals, of_product
from blemish.dataset.samples import Dataset
from blemish.evaluation.image import image_scores
from blemish.evaluation.operating_point import OperatingPoint, choose
from blemish.evaluation.run import evaluate_samples
from blemish.images.decode import read_image
from blemish.inspector.inspector import Inspector
from blemish.inspector.torch_backend import as_networks, pick_device
from blemish.methods.medetection.training.products import with_shots
from blemish.nn.runtime import prepare_runtime
from blemish.progress import Reporter

BATCH = 8


def peer_row(table: Table, row: Row, seed: int) -> dict[str, Any]:
    """The figures of one peer on the test images of the row's target."""
    assert row.target is not None
    prepare_runtime()
    settings = PEER_SETTINGS[row.kind].model_validate(row.settings)
    product = of_product(table.dataset, row.target)
    if settings.shots is not None:
        product = with_shots(product, row.target, settings.shots, seed)  # the method's own draw
    start = perf_counter()
    module = FITS[row.kind](product.split("train"), settings, seed, table.reporter)
    inspector = peer_inspector(module, settings, name=row.kind)
    inspector, point = with_thresholds(inspector, product.split("val"), settings, table.reporter)
    seconds = perf_counter() - start
    evaluator = evaluate_samples(
        inspector, product.split("test"), table.reporter, title=f"{row.kind} on the test images"
    )
    evaluation = evaluator.result(method=row.kind, split="test", seed=seed, operating_point=point)
    return {**evaluation.metrics, "seconds_training": seconds, "minutes_training": seconds / 60}


# Fitting


def fit_nearest_feature(
    training: Dataset, settings: PeerSettings, seed: int, reporter: Reporter
) -> NearestFeature:
    assert isinstance(settings, NearestFeatureSettings)
    backbone = new_backbone(settings, [settings.level], seed)
    return NearestFeature(backbone, pooled_features(backbone, normals(training), settings, reporter).float())


def fit_patch_memory(training: Dataset, settings: PeerSettings, seed: int, reporter: Reporter) -> PatchMemory:
    """The memory is chosen from at most `pool` patches, as many of each normal image."""
    assert isinstance(settings, PatchMemorySettings)
    backbone, good = new_backbone(settings, settings.levels, seed), normals(training)
    generator = torch.Generator().manual_seed(seed)
    each = max(1, settings.pool // len(good))

    def some_patches(images: Tensor) -> Tensor:
        found = patches(backbone(images), settings.neighbourhood)
        orders = [torch.randperm(found.shape[1], generator=generator)[:each] for _ in found]
        return torch.cat([one[order.to(one.device)] for one, order in zip(found, orders, strict=True)])

    pool = computed(backbone, some_patches, good, settings, reporter)
    kept = max(1, round(settings.share * len(pool)))
    chosen = coreset(pool, kept, projection=settings.projection, generator=generator)
    return PatchMemory(backbone, pool[chosen], settings.neighbourhood)


def fit_linear_probe(training: Dataset, settings: PeerSettings, seed: int, reporter: Reporter) -> LinearProbe:
    assert isinstance(settings, LinearProbeSettings)
    backbone = new_backbone(settings, [settings.level], seed)
    features = pooled_features(backbone, training, settings, reporter).double().numpy()
    defective = np.array([sample.is_defective for sample in training])
    return LinearProbe(backbone, *fitted_rule(features, defective, strength=settings.strength))


FITS: Mapping[str, Callable[[Dataset, Any, int, Reporter], nn.Module]] = {
    "nearest-feature": fit_nearest_feature,
    "patch-memory": fit_patch_memory,
    "linear-probe": fit_linear_probe,
}


def new_backbone(settings: PeerSettings, levels: Sequence[str], seed: int) -> Backbone:
    """The seed is for weights of "none" alone."""
    torch.manual_seed(seed)
    return Backbone(settings, levels)


def pooled_features(
    backbone: Backbone, dataset: Dataset, settings: PeerSettings, reporter: Reporter
) -> Tensor:
    """Each image's pooled feature of the one level. [N, C]"""
    return computed(backbone, lambda images: pooled(backbone(images)[0]), dataset, settings, reporter)


@torch.inference_mode()
def computed(
    backbone: Backbone,
    of_batch: Callable[[Tensor], Tensor],
    dataset: Dataset,
    settings: PeerSettings,
    reporter: Reporter,
) -> Tensor:
    """What a function makes of every image, batch by batch, put together on the CPU."""
    device = pick_device(settings.device)
    backbone.to(device)
    found, batch = [], list[Any]()
    for sample in reporter.track(dataset.samples, "features of the training images"):
        batch.append(square(read_image(sample.image, channels=3), settings.size))
        if len(batch) == BATCH or sample is dataset.samples[-1]:
            found.append(of_batch(torch.from_numpy(np.stack(batch)).to(device)).cpu())
            batch.clear()
    return torch.cat(found)


# Verdicts


def peer_inspector(module: nn.Module, settings: PeerSettings, *, name: str) -> Inspector:
    """The peer behind the one forward path; it calls nothing NG yet."""
    networks = as_networks({NETWORK: module}, device=pick_device(settings.device))
    return Inspector(PeerInference(settings.size), networks, review=math.inf, ng=math.inf, bundle=name)


def with_thresholds(
    inspector: Inspector, validation: Dataset, settings: PeerSettings, reporter: Reporter
) -> tuple[Inspector, OperatingPoint]:
    """The thresholds that the rules choose on validation images, as for a method."""
    evaluator = evaluate_samples(inspector, validation, reporter, title="choosing the threshold")
    scores, defective = image_scores(evaluator.records)
    point = choose(scores, defective, settings.ng_rule, review_rule=settings.review_rule)
    return replace(inspector, ng=point.threshold, review=point.review_threshold), point
