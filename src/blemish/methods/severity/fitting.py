"""Training severity regression: scale → stage 1 → T → stage 4 → when to drop a defect.

Source: He & Liu 2020, section III-C. Reads the dataset's splits "train" and "val" and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.dataset.masks import class_map
from blemish.dataset.outlined import left_out, outlined
from blemish.dataset.samples import Dataset, Sample
from blemish.methods.contract import Fitted, Networks, Pixels, Stage, SweptCurves, ThresholdSweep, Trainer
from blemish.methods.severity.classifier import (
    Example,
    ExampleSource,
    TypeNetwork,
    new_type_network,
    type_loss,
    window_batch,
)
from blemish.methods.severity.inference import SeverityInference, inference_from
from blemish.methods.severity.labels import SEVERITY_MAX
from blemish.methods.severity.network import new_network
from blemish.methods.severity.patches import PatchSource
from blemish.methods.severity.settings import Settings
from blemish.methods.severity.survey import Survey, survey
from blemish.methods.severity.windows import windows_on
from blemish.nn.optimisation import adamw, warm_cosine
from blemish.regions.components import split_classes
from blemish.regions.region import Region

REGRESSION, TYPES = 1, 2  # keys that keep the two stages' random draws apart
WEIGHT_LIMITS = (1 / 30, 5.0)  # of a defect cell in the loss
NO_SEVERITIES = np.zeros(1, np.float32)


def fit(dataset: Dataset, settings: Settings, trainer: Trainer) -> Fitted:
    """All four stages, trained in the paper's order. Raises BlemishError where the data cannot carry it."""
    learnable, notes = outlined(dataset), left_out(dataset)
    for note in notes:
        trainer.note(note)
    return replace(Fitting(learnable, settings, trainer).run(), notes=notes)


@dataclass(frozen=True)
class Fitting:
    """One training: what every step below reads. dataset: as `outlined` leaves it"""

    dataset: Dataset
    settings: Settings
    trainer: Trainer

    def run(self) -> Fitted:
        found = survey(self.trainer.track(self.images(self.train), "reading training images"), self.settings)
        type_network = self.new_types()  # before the long part, in case its weights cannot be had
        network = self.train_regression(found)
        modules: dict[str, nn.Module] = {"severity": network}
        sweep = self.choose_threshold(modules)
        threshold = self.settings.threshold or sweep.best
        inference = self.inference(threshold)
        if type_network is not None:
            self.train_types(type_network, found, inference, modules)
            modules["types"] = type_network
            inference = replace(inference, drop_above=self.choose_drop(inference, modules), types=True)
        return Fitted(
            modules=modules,
            class_names=self.dataset.class_names,
            channels=self.settings.channels,
            thresholds={"severity": threshold, "drop_above": inference.drop_above},
            tiling={"tile": inference.tiling.tile, "halo": inference.tiling.halo, "stride": inference.cell},
            curves=SweptCurves.of(sweep),
        )

    @cached_property
    def train(self) -> tuple[Sample, ...]:
        return self.dataset.split("train").samples

    @cached_property
    def validation(self) -> tuple[Sample, ...]:
        return self.dataset.split("val").samples

    def read(self, sample: Sample) -> tuple[Pixels, NDArray[np.uint8]]:
        """Pixels and class map of a sample."""
        pixels = self.trainer.read(sample, self.settings.channels)
        return pixels, self.trainer.remember(
            sample, lambda: class_map(sample, self.dataset.class_names, pixels.shape[:2])
        )

    def images(self, samples: Iterable[Sample]) -> Iterator[tuple[Pixels, NDArray[np.uint8]]]:
        return (self.read(sample) for sample in samples)

    def inference(self, threshold: float) -> SeverityInference:
        """Stages 1 to 3 as trained so far; stage 4 is added once it is."""
        return inference_from(
            self.settings,
            self.dataset.class_names,
            threshold=threshold,
            drop_above=self.settings.drop_above or 0.5,
        ).without_types()

    # Stage 1

    def train_regression(self, found: Survey) -> nn.Module:
        torch.manual_seed(self.trainer.seed)
        network = new_network(self.settings)
        source = PatchSource(
            self.settings,
            lambda number: self.read(self.train[number]),
            found.sizes,
            found.marked,
            found.scale,
        )
        self.trainer.optimise(
            self.stage(
                "regression",
                network,
                steps=self.settings.steps,
                peak=self.settings.learning_rate,
                batch=lambda step, rank: patch_batch(source, self.generator(REGRESSION, step, rank)),
                loss=partial(severity_loss, defect_cells=self.settings.defect_cells),
            )
        )
        return network

    def choose_threshold(self, modules: Mapping[str, nn.Module]) -> ThresholdSweep:
        """Stage 2's T: the best on the validation images (section III-A-2)."""
        networks = self.trainer.networks(modules)
        inference = self.inference(threshold=SEVERITY_MAX / 2)
        return self.trainer.sweep(
            self.severity_maps(inference, networks),
            most=SEVERITY_MAX,
            criterion=self.settings.threshold_criterion,
        )

    def severity_maps(
        self, inference: SeverityInference, networks: Networks
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        for sample in self.trainer.track(self.validation, "choosing the threshold"):
            pixels, classes = self.read(sample)
            raw = inference.forward(pixels, networks)
            yield inference.in_pixels(raw, classes.shape), classes > 0

    # Stage 4

    def new_types(self) -> TypeNetwork | None:
        """The type classifier with its first weights; None where stage 4 is off."""
        if not self.settings.types:
            return None
        torch.manual_seed(self.trainer.seed + 1)
        network, origin = new_type_network(self.settings, len(self.dataset.class_names))
        self.trainer.note(f"type classifier {origin}")
        return network

    def train_types(
        self,
        network: TypeNetwork,
        found: Survey,
        inference: SeverityInference,
        modules: Mapping[str, nn.Module],
    ) -> None:
        source = ExampleSource(
            self.settings,
            lambda number: self.read(self.train[number]),
            self.examples(inference, self.trainer.networks(modules)),
            found.sizes,
            background=len(self.dataset.class_names),
        )
        self.trainer.optimise(
            self.stage(
                "types",
                network,
                steps=self.settings.types_steps,
                peak=self.settings.types_learning_rate,
                batch=lambda step, rank: window_batch(source, self.generator(TYPES, step, rank)),
                loss=type_loss,
            )
        )

    def examples(self, inference: SeverityInference, networks: Networks) -> dict[int, list[Example]]:
        """Windows on marked defects, on what stage 1 finds of them, and on its false positives, by label."""
        eager = replace(inference, threshold=inference.threshold * self.settings.false_positive_ratio)
        examples: dict[int, list[Example]] = defaultdict(list)
        for number, sample in enumerate(self.trainer.track(self.train, "collecting examples of types")):
            pixels, classes = self.read(sample)
            raw = inference.forward(pixels, networks)
            places = [
                (region, label) for label, region in marked_regions(classes, self.settings.join_distance)
            ]
            places += self.labelled(inference.regions(raw, classes.shape), classes, background=False)
            places += self.labelled(eager.regions(raw, classes.shape), classes, background=True)
            for region, label in places:
                examples[label].append(Example(number, label, tuple(self.windows(region))))
        return dict(examples)

    def labelled(
        self, regions: Iterable[Region], classes: NDArray[np.uint8], *, background: bool
    ) -> list[tuple[Region, int]]:
        """Regions with their true label: either those that are background, or those that are defects."""
        wanted = []
        for region in regions:
            label = true_label(
                region, classes, background=len(self.dataset.class_names), least=self.settings.false_share
            )
            if (label == len(self.dataset.class_names)) == background:
                wanted.append((region, label))
        return wanted

    def windows(self, region: Region) -> list[tuple[int, int, int]]:
        return windows_on(
            region.mask,
            region.offset_xy,
            window=self.settings.types_window,
            step=self.settings.types_step,
            overlap=self.settings.types_overlap,
        )

    def choose_drop(self, inference: SeverityInference, modules: Mapping[str, nn.Module]) -> float:
        """The background probability from which stage 4 drops a defect, so that no true validation defect is
        lost.
        """
        if self.settings.drop_above is not None:
            return self.settings.drop_above
        networks = self.trainer.networks(modules)
        least = 0.5
        for sample in self.trainer.track(self.validation, "checking the type classifier"):
            pixels, classes = self.read(sample)
            raw = inference.forward(pixels, networks)
            for region, _ in self.labelled(inference.regions(raw, classes.shape), classes, background=False):
                least = max(least, float(inference.vote(region, pixels, networks)[:, -1].mean()) + 1e-3)
        return min(least, 1.0)

    # Both

    def stage(
        self,
        name: str,
        network: nn.Module,
        *,
        steps: int,
        peak: float,
        batch: Callable[[int, int], Mapping[str, Tensor]],
        loss: Callable[[nn.Module, Mapping[str, Tensor]], Tensor],
    ) -> Stage:
        settings = self.settings
        warmup = min(settings.warmup, steps // 10)
        return Stage(
            name=name,
            network=network,
            steps=steps,
            batch=batch,
            loss=loss,
            optimiser=lambda parameters: adamw(parameters, weight_decay=settings.weight_decay),
            learning_rate=lambda step: peak * warm_cosine(step, steps=steps, warmup=warmup),
            gradient_clip=settings.gradient_clip,
        )

    def generator(self, *keys: int) -> np.random.Generator:
        return np.random.default_rng([self.trainer.seed, *keys])


def patch_batch(source: PatchSource, generator: np.random.Generator) -> dict[str, Tensor]:
    """A batch of patches [B, C, P, P] and severities [B, 1, P / cell, P / cell]."""
    drawn = [source.draw(generator) for _ in range(source.settings.batch)]
    images, severities = zip(*drawn, strict=True)
    return {
        "images": torch.from_numpy(np.stack(images)),
        "severities": torch.from_numpy(np.stack(severities)),
    }


def severity_loss(
    network: nn.Module, batch: Mapping[str, Tensor], *, defect_cells: int | None = None
) -> Tensor:
    """Mean squared error over all cells, the L2 loss of section III-B-1; weighted, see `cell_weights`."""
    severities = batch["severities"]
    errors = (network(batch["images"]) - severities).square()
    return (errors if defect_cells is None else errors * cell_weights(severities, defect_cells)).mean()


def cell_weights(severities: Tensor, defect_cells: int) -> Tensor:
    """1 on the surface; on defect cells what makes those of a patch count as `defect_cells`, within limits.

    severities, returns: [B, 1, h, w]
    """
    marked = severities > 0
    weights = (defect_cells / marked.sum((1, 2, 3), keepdim=True).clamp(min=1)).clamp(*WEIGHT_LIMITS)
    return torch.where(marked, weights, 1.0)


def marked_regions(classes: NDArray[np.uint8], join_distance: float) -> list[tuple[int, Region]]:
    """The marked defects of a class map as regions, with their class numbers."""
    return [
        (label, Region(mask, offset_xy, NO_SEVERITIES))
        for label, mask, offset_xy in split_classes(classes, join_distance=join_distance)
    ]


def true_label(region: Region, classes: NDArray[np.uint8], *, background: int, least: float) -> int:
    """The class most of the region's marked pixels have; `background` where less than `least` is marked."""
    left, top = region.offset_xy
    height, width = region.mask.shape
    inside = classes[top : top + height, left : left + width][region.mask]
    marked = inside[inside > 0]
    if not marked.size or marked.size < least * inside.size:
        return background
    return int(np.bincount(marked).argmax()) - 1
