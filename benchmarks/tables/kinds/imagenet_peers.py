"""Rows of simple peers on ImageNet features: fitted on the training images of one product, as MeDetection is.

They are baselines of tables, not methods: they have no bundle and are measured where they are made, by
the code that measures the methods. The threshold is from the product's validation images. Letters: N
images, C channels, s side of the square that images are brought to, P places of a map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from time import perf_counter
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from benchmarks.tables.experiment import expanded
from benchmarks.tables.imagenet import (
    Backbone,
    LinearProbe,
    NearestFeature,
    PatchMemory,
    coreset,
    fitted_rule,
    patches,
    pooled,
)
from benchmarks.tables.results import RowJob
from benchmarks.tables.row_kind import Figures, RowKind
from benchmarks.tables.table import Table
from blemish.arrays import Pixels
from blemish.bundle.manifest import Strict
from blemish.dataset.product_sets.products import normals, of_product
from blemish.dataset.samples import Dataset
from blemish.evaluation.image import image_scores
from blemish.evaluation.operating_point import OperatingPoint, choose
from blemish.evaluation.run import evaluate_samples
from blemish.images.decode import read_image, to_unit
from blemish.images.resize import resized
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.torch_backend import as_networks, pick_device
from blemish.methods.contract import ImageFindings, Networks
from blemish.methods.medetection.training.products import with_shots
from blemish.nn.runtime import prepare_runtime
from blemish.progress import Reporter

BATCH = 8
NETWORK = "peer"

ResnetStage = Literal["layer1", "layer2", "layer3", "layer4"]


class PeerSettings(Strict):
    """The features that a peer works on, and how its verdict is reached.

    backbone, weights, strides: see `nn.backbones`
    size: pixels, side of the square that images are brought to, as the method's
    shots: images of the product that may be used for fitting and thresholds; None: all of train and val
    """

    backbone: Literal["efficientnet-lite0", "resnet18", "resnet34", "resnet50", "resnet101"] = "resnet50"
    weights: str = "imagenet"
    strides: Literal["torchvision", "original"] = "torchvision"
    size: int = Field(256, ge=32)
    shots: int | None = Field(None, ge=5)
    ng_rule: str = "f1"
    review_rule: str = "escape<=0"
    device: Literal["auto", "cpu", "cuda"] = "auto"


class NearestFeatureSettings(PeerSettings):
    """level: the stage whose globally averaged map is an image's feature"""

    level: ResnetStage = "layer3"


class PatchMemorySettings(PeerSettings):
    """levels: stages whose maps are put on top of each other, at the finest one's places

    neighbourhood: places, side of the square that a patch is averaged over
    pool: most patches that the memory is chosen from, drawn by seed; the paper takes all of them, which two
        cores do not finish with
    share: of the pool that is kept; projection: dimensions in which it is chosen
    """

    levels: tuple[ResnetStage, ...] = Field(("layer2", "layer3"), min_length=1)
    neighbourhood: int = Field(3, ge=1)
    pool: int = Field(50_000, ge=1)
    share: float = Field(0.1, gt=0, le=1)
    projection: int = Field(128, ge=1)


class LinearProbeSettings(PeerSettings):
    """level: as of the nearest feature; strength: C, the inverse of the penalty, as in scikit-learn"""

    level: ResnetStage = "layer3"
    strength: float = Field(1.0, gt=0)


class PeerKind(RowKind):
    """Base of the peers, which differ by what they keep of the training images."""

    source = "product"
    settings_type: ClassVar[type[PeerSettings]]

    def fitted(self, training: Dataset, settings: Any, seed: int, reporter: Reporter) -> nn.Module:
        raise NotImplementedError

    def measure(self, table: Table, job: RowJob) -> Figures:
        """Figures on the test images of the row's target."""
        row, seed = job.row, job.seed or 0
        assert row.target is not None
        prepare_runtime()
        settings = self.settings_type.model_validate(row.settings)
        product = of_product(table.dataset, row.target)
        if settings.shots is not None:
            product = with_shots(product, row.target, settings.shots, seed)  # the method's own draw
        start = perf_counter()
        module = self.fitted(product.split("train"), settings, seed, table.reporter)
        inspector = peer_inspector(module, settings, name=self.name)
        inspector, point = with_thresholds(inspector, product.split("val"), settings, table.reporter)
        seconds = perf_counter() - start
        evaluator = evaluate_samples(
            inspector, product.split("test"), table.reporter, title=f"{self.name} on the test images"
        )
        evaluation = evaluator.result(method=self.name, split="test", seed=seed, operating_point=point)
        return {**evaluation.metrics, "seconds_training": seconds, "minutes_training": seconds / 60}


class NearestFeatureKind(PeerKind):
    """1-NN on pooled features of normal images."""

    name = "nearest-feature"
    settings_type = NearestFeatureSettings

    def fitted(
        self, training: Dataset, settings: NearestFeatureSettings, seed: int, reporter: Reporter
    ) -> NearestFeature:
        backbone = new_backbone(settings, [settings.level], seed)
        memory = pooled_features(backbone, normals(training), settings, reporter)
        return NearestFeature(backbone, memory.float())


class PatchMemoryKind(PeerKind):
    """A memory of normal patches, chosen from at most `pool` of them, as many of each normal image."""

    name = "patch-memory"
    settings_type = PatchMemorySettings

    def fitted(
        self, training: Dataset, settings: PatchMemorySettings, seed: int, reporter: Reporter
    ) -> PatchMemory:
        backbone, good = new_backbone(settings, settings.levels, seed), normals(training)
        generator = torch.Generator().manual_seed(seed)
        each = max(1, settings.pool // len(good))

        def some_patches(images: Tensor) -> Tensor:
            found = patches(backbone(images), settings.neighbourhood)
            orders = [torch.randperm(found.shape[1], generator=generator)[:each] for _ in found]
            return torch.cat(
                [of_image[order.to(of_image.device)] for of_image, order in zip(found, orders, strict=True)]
            )

        pool = computed(backbone, some_patches, good, settings, reporter)
        count = max(1, round(settings.share * len(pool)))
        chosen = coreset(pool, count, projection=settings.projection, generator=generator)
        return PatchMemory(backbone, pool[chosen], settings.neighbourhood)


class LinearProbeKind(PeerKind):
    """Logistic regression on pooled features, with every label of the training images.

    Rows measured before scikit-learn fitted it were fitted by L-BFGS on the same loss.
    """

    name = "linear-probe"
    settings_type = LinearProbeSettings
    packages: ClassVar = {"sklearn": "scikit-learn"}

    def fitted(
        self, training: Dataset, settings: LinearProbeSettings, seed: int, reporter: Reporter
    ) -> LinearProbe:
        backbone = new_backbone(settings, [settings.level], seed)
        features = pooled_features(backbone, training, settings, reporter).double().numpy()
        defective = np.array([sample.is_defective for sample in training])
        return LinearProbe(backbone, *fitted_rule(features, defective, strength=settings.strength))


def new_backbone(settings: PeerSettings, levels: Sequence[str], seed: int) -> Backbone:
    """The seed is for weights of "none" alone."""
    torch.manual_seed(seed)
    weights = str(expanded({"weights": settings.weights})["weights"])
    return Backbone(settings.backbone, weights, levels, original_strides=settings.strides == "original")


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
    """The values of a function on every image, batch by batch, put together on the CPU."""
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


def peer_inspector(module: nn.Module, settings: PeerSettings, *, name: str) -> BundleInspector:
    """The peer behind the one forward path; it calls nothing NG yet."""
    networks = as_networks({NETWORK: module}, device=pick_device(settings.device))
    return BundleInspector(PeerInference(settings.size), networks, review=math.inf, ng=math.inf, bundle=name)


def with_thresholds(
    inspector: BundleInspector, validation: Dataset, settings: PeerSettings, reporter: Reporter
) -> tuple[BundleInspector, OperatingPoint]:
    """The thresholds that the rules choose on validation images, as for a method."""
    evaluator = evaluate_samples(inspector, validation, reporter, title="choosing the threshold")
    scores, defective = image_scores(evaluator.records)
    point = choose(scores, defective, settings.ng_rule, review_rule=settings.review_rule)
    return replace(inspector, ng=point.threshold, review=point.review_threshold), point


@dataclass(frozen=True)
class PeerInference:
    """A number for each image, and a map where the peer has one. size: s"""

    size: int
    channels: int | None = 3
    threshold_score: float | None = None
    mm_per_px: float | None = None
    classifies: bool = False
    segments: bool = False
    pixel_threshold: float | None = None
    region_threshold: float | None = None
    score_map_max: float | None = None
    streams: None = None

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        """[B, 1 + P]: the peer's number for each image, and its map of P places."""
        return inputs[0], None

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """The peer's number for the image and, behind it, its map of P places. [1 + P]"""
        return networks[NETWORK](square(pixels, self.size)[None])[0]

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """The score; the map under the name that heat maps have, scaled to [0, 1]."""
        maps: dict[str, NDArray[np.generic]] = {}
        if with_maps and len(raw) > 1:
            side = isqrt(len(raw) - 1)
            heat = raw[1:].reshape(side, side) / max(float(raw[1:].max()), 1e-12)
            maps["heat_map"] = np.asarray(cv2.resize(heat, (pixels.shape[1], pixels.shape[0])), np.float32)
        return ImageFindings(score_of(float(raw[0])), (), maps)


def square(pixels: Pixels, size: int) -> NDArray[np.float32]:
    """The image as a network takes it. [H, W, 3] → [3, s, s] in [0, 1]"""
    return np.ascontiguousarray(to_unit(resized(pixels, (size, size))).transpose(2, 0, 1))


def score_of(value: float) -> float:
    """Any number to (0, 1), in its order. A sigmoid would make large numbers equal by rounding."""
    return 0.5 * (1 + value / (1 + abs(value)))
