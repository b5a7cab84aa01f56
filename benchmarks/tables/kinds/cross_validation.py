"""Rows of repeated cross-validation: every image is judged by a model that was trained without its fold.

A row's seed is that of its folds: each makes a repeat. What a frozen backbone makes of an image does not
depend on the fold, so it is computed once for all folds and repeats of a process; heads and peers are fitted
anew for each fold, on its training images, with its validation images. Scores of all images are stored, so
that intervals of differences come from stored rows alone. Letters: N images, C channels, P patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from benchmarks.tables.imagenet import (
    coreset,
    fitted_rule,
    nearest_distances,
    patch_distances,
    patches,
    pooled,
)
from benchmarks.tables.kinds.imagenet_peers import BATCH, PeerSettings, new_backbone, square
from benchmarks.tables.lines import JUDGED
from benchmarks.tables.results import RowJob
from benchmarks.tables.row_kind import Figures, RowKind
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import Table
from benchmarks.tables.training import MethodKind, method_settings
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.folds import folds_of, units_of
from blemish.evaluation.cross_validated import FoldScores, cross_validated_auroc
from blemish.images.decode import read_image
from blemish.methods.medetection import METHOD
from blemish.methods.medetection.training.episodes import Product
from blemish.methods.medetection.training.feature_cache import FeatureCache
from blemish.methods.medetection.training.products import pool, products_of
from blemish.methods.medetection.training.run import MedetectionTraining
from blemish.nn.runtime import prepare_runtime
from blemish.training.trainer import RunTrainer

Scores = NDArray[np.float64]
# What frozen backbones made of the images, for all folds and repeats of this process.
FEATURE_CACHES: dict[str, FeatureCache] = {}
MAPS: dict[str, list[list[Tensor]]] = {}


@dataclass(frozen=True)
class Repeat:
    """Folds of one seed. groups: number of each image's group of near duplicates, [N]"""

    folds: Sequence[Dataset]
    groups: NDArray[np.int64]

    def tested_in(self, fold: Dataset) -> NDArray[np.int64]:
        """Numbers of the fold's test images, [n]."""
        return np.flatnonzero([sample.split == "test" for sample in fold])

    def figures(self, scores: Scores) -> Figures:
        """Figures of a row. scores: of each image, by the model of its fold, [N]"""
        fold_of = np.zeros(len(scores), np.int64)
        for number, fold in enumerate(self.folds):
            fold_of[self.tested_in(fold)] = number
        defective = [int(sample.is_defective) for sample in self.folds[0]]
        judged = {
            "scores": [float(f"{score:.6g}") for score in scores],
            "defective": defective,
            "folds": fold_of.tolist(),
            "groups": self.groups.tolist(),
        }
        return {"image": {"auroc": cross_validated_auroc([FoldScores(**judged)]).mean}, JUDGED: judged}


def repeat_of(table: Table, seed: int) -> Repeat:
    """Folds of the table's dataset by its `split`; the seed makes another repeat."""
    split, dataset = table.experiment.split, table.dataset
    units = units_of(dataset, split.by)
    group_of = {name: number for number, unit in enumerate(units) for name in unit.ids}
    folds = folds_of(dataset, split.folds, val=split.val, units=units, seed=seed)
    return Repeat(folds, np.array([group_of[sample.id] for sample in dataset], np.int64))


class CrossValidationKind(MethodKind):
    """MeDetection from a random start, trained anew without each fold."""

    name = "cross-validation"

    def also(self, table: Table, row: TableRow) -> dict[str, Any]:
        return {"maml": False}

    def measure(self, table: Table, job: RowJob) -> Figures:
        seed = job.seed or 0
        asked = method_settings(table, job.row, self.also(table, job.row), expand=True)
        settings = METHOD.resolved_settings(asked, table.reporter.line)
        repeat = repeat_of(table, seed)
        scores, start = np.zeros(len(table.dataset)), perf_counter()
        for number, fold in enumerate(repeat.folds):
            run = table.run_folder(job.row, seed) / f"fold-{number + 1}"
            run.mkdir(parents=True, exist_ok=True)
            trainer = RunTrainer(run, settings, seed=seed, reporter=table.reporter)
            training = MedetectionTraining(
                fold, settings, trainer, products_of(fold, settings, trainer), shared_cache(table, settings)
            )
            network: Any = training.run().modules["network"].eval()
            tested = tested_product(fold)
            found, _ = training.predict(network, training.pairs_to_judge(tested))
            scores[sorted((*tested.normals, *tested.defectives))] = found
        seconds = perf_counter() - start
        return {**repeat.figures(scores), "minutes_training": seconds / 60}


def shared_cache(table: Table, settings: Any) -> FeatureCache:
    """Features of the table's images, shared by all trainings on the same frozen stem."""
    told = {key: value for key, value in settings.model_dump().items() if key.startswith("backbone")}
    key = f"{table.fingerprint} {settings.size} {settings.align} {told}"
    if key not in FEATURE_CACHES:
        FEATURE_CACHES[key] = FeatureCache(
            table.dataset.samples, settings, lambda sample: read_image(sample.image, channels=3)
        )
    return FEATURE_CACHES[key]


def tested_product(fold: Dataset) -> Product:
    """Test images of a fold."""
    return pool(fold, "tested", "test", {sample.id: number for number, sample in enumerate(fold)})


class CrossValidatedPeerSettings(PeerSettings):
    """peer: rule that is fitted to a frozen backbone's maps of the training images

    levels: stages whose maps are used: pooled, one behind the other, or as patches at the finest one's places
    maxima: whether the maximum of each channel is pooled beside its mean
    strength: as of `LinearProbeSettings`; memory: patches that are kept, of `pool` drawn
    """

    peer: Literal["linear-probe", "nearest-feature", "patch-memory"]
    levels: tuple[Literal["layer1", "layer2", "layer3", "layer4"], ...] = Field(("layer3",), min_length=1)
    maxima: bool = False
    strength: float = Field(1.0, gt=0)
    pool: int = Field(10_000, ge=1)
    memory: int = Field(1000, ge=1)


class CrossValidatedPeerKind(RowKind):
    """A simple peer on ImageNet features, fitted anew without each fold; validation images are not used."""

    name = "cross-validated-peer"
    settings_type = CrossValidatedPeerSettings
    packages: ClassVar[Mapping[str, str]] = {"sklearn": "scikit-learn"}

    def measure(self, table: Table, job: RowJob) -> Figures:
        seed = job.seed or 0
        prepare_runtime()
        settings = CrossValidatedPeerSettings.model_validate(job.row.settings)
        repeat, maps = repeat_of(table, seed), shared_maps(table, settings)
        defective = np.array([sample.is_defective for sample in table.dataset])
        score = PEERS[settings.peer]
        scores, start = np.zeros(len(table.dataset)), perf_counter()
        for fold in repeat.folds:
            training = np.flatnonzero([sample.split == "train" for sample in fold])
            tested = repeat.tested_in(fold)
            scores[tested] = score(maps, training, defective, tested, settings, seed)
        return {**repeat.figures(scores), "minutes_training": (perf_counter() - start) / 60}


def shared_maps(table: Table, settings: CrossValidatedPeerSettings) -> list[list[Tensor]]:
    """Maps of each of the table's images at the levels, in half precision, [C, h, w] each."""
    told = (settings.backbone, settings.weights, settings.strides, settings.size, settings.levels)
    key = f"{table.fingerprint} {told}"
    if key not in MAPS:
        backbone = new_backbone(settings, settings.levels, 0)
        samples, found = table.dataset.samples, list[list[Tensor]]()
        for first in table.reporter.track(range(0, len(samples), BATCH), "maps of the images"):
            images = [read_image(sample.image, channels=3) for sample in samples[first : first + BATCH]]
            batch = np.stack([square(image, settings.size) for image in images])
            with torch.inference_mode():
                levels = backbone(torch.from_numpy(batch))
            found += [[level[place].half() for level in levels] for place in range(len(images))]
        MAPS[key] = found
    return MAPS[key]


def linear_probe_scores(
    maps: Sequence[Sequence[Tensor]],
    training: NDArray[np.int64],
    defective: NDArray[np.bool_],
    tested: NDArray[np.int64],
    settings: CrossValidatedPeerSettings,
    seed: int,
) -> Scores:
    """Log odds of a logistic regression on pooled features of all training images."""
    features = pooled_maps(maps, maxima=settings.maxima).double().numpy()
    weight, offset = fitted_rule(features[training], defective[training], strength=settings.strength)
    return np.asarray(features[tested] @ weight + offset)


def nearest_feature_scores(
    maps: Sequence[Sequence[Tensor]],
    training: NDArray[np.int64],
    defective: NDArray[np.bool_],
    tested: NDArray[np.int64],
    settings: CrossValidatedPeerSettings,
    seed: int,
) -> Scores:
    """Distance of the pooled features to the nearest normal training image's."""
    features = pooled_maps(maps, maxima=settings.maxima)
    memory = features[training[~defective[training]]]
    return nearest_distances(features[tested], memory).double().numpy()


def patch_memory_scores(
    maps: Sequence[Sequence[Tensor]],
    training: NDArray[np.int64],
    defective: NDArray[np.bool_],
    tested: NDArray[np.int64],
    settings: CrossValidatedPeerSettings,
    seed: int,
) -> Scores:
    """Greatest distance of a patch to the nearest in a memory of patches of normal training images."""
    generator, good = torch.Generator().manual_seed(seed), training[~defective[training]]
    each = max(1, settings.pool // len(good))
    drawn = []
    for number in good:
        own = patches_of(maps[number])
        drawn.append(own[torch.randperm(len(own), generator=generator)[:each]])
    candidates = torch.cat(drawn)
    memory = candidates[coreset(candidates, settings.memory, projection=128, generator=generator)]
    return np.array([float(patch_distances(patches_of(maps[number]), memory).max()) for number in tested])


PEERS = {
    "linear-probe": linear_probe_scores,
    "nearest-feature": nearest_feature_scores,
    "patch-memory": patch_memory_scores,
}


def pooled_maps(maps: Sequence[Sequence[Tensor]], *, maxima: bool) -> Tensor:
    """Pooled features of each image, of all levels, [N, ΣC], or twice as many with maxima."""
    return torch.stack([
        torch.cat([
            part
            for level in levels
            for part in (pooled(level[None])[0], *([level.float().amax((1, 2))] if maxima else []))
        ])
        for levels in maps
    ])  # fmt: skip


def patches_of(levels: Sequence[Tensor]) -> Tensor:
    """Patches of an image, averaged over 3×3 places. [P, ΣC]"""
    return patches([level[None] for level in levels], 3)[0]
