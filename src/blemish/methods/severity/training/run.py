"""Training of severity regression: scale → stage 1 → T → stage 4 → when to drop a defect.

Source: He & Liu 2020, section III-C. Reads the dataset's splits "train" and "val" and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import nn

from blemish.arrays import Pixels
from blemish.dataset.outlined import left_out, outlined
from blemish.dataset.samples import Dataset, Sample
from blemish.methods.common.map_score import MapMemory, MapScore
from blemish.methods.common.region_thresholds import ChosenThresholds, chosen_thresholds, stored
from blemish.methods.common.samples import ClassMap, SampleReader
from blemish.methods.common.training.image_head import ImageScoreFitter
from blemish.methods.contract import Fitted, Networks, RegionSweep, RegionThresholds, Stage, Trainer
from blemish.methods.severity.inference import SeverityInference, inference_from, tells_types
from blemish.methods.severity.labels import SEVERITY_MAX
from blemish.methods.severity.network import TypeNetwork, new_network, new_type_network
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.training.examples import WindowExample, WindowSource
from blemish.methods.severity.training.losses import severity_loss, type_loss
from blemish.methods.severity.training.patches import PatchSource
from blemish.methods.severity.training.survey import DefectSurvey, survey
from blemish.methods.severity.windows import windows_on
from blemish.nn.encoder import EncoderDecoder
from blemish.nn.optimisation import adamw, scheduled
from blemish.regions.components import split_classes
from blemish.regions.region import Region

REGRESSION, TYPES = 1, 2  # keys that keep the two stages' random draws apart
MIN_DROP = 0.5  # background probability from which a defect may be dropped
NO_SEVERITIES = np.zeros(1, np.float32)


def fit(dataset: Dataset, settings: SeveritySettings, trainer: Trainer) -> Fitted:
    """Train all four stages in the paper's order. Raises BlemishError where the data cannot carry it."""
    learnable, notes = outlined(dataset), left_out(dataset)
    for note in notes:
        trainer.note(note)
    every_image = dataset.split("train").samples
    return replace(SeverityTraining(learnable, settings, trainer, every_image).run(), notes=notes)


@dataclass(frozen=True)
class SeverityTraining:
    """Trains severity regression once on a dataset that holds outlined defects alone.

    every_image: all training images, outlined or not, from which the image score learns; empty: the dataset's
    """

    dataset: Dataset
    settings: SeveritySettings
    trainer: Trainer
    every_image: tuple[Sample, ...] = ()

    def run(self) -> Fitted:
        tracked = self.trainer.track(self.train, "reading training images")
        found = survey(map(self.reader.read, tracked), self.settings)
        type_network = self.new_types()  # before the long part, in case its weights cannot be had
        network = self.train_regression(found)
        modules: dict[str, nn.Module] = {"severity": network}
        choice, fitted_score, head = self.choose_thresholds(modules)
        inference = self.inference(choice.thresholds)
        if type_network is not None:
            self.train_types(type_network, found, inference, modules)
            modules["types"] = type_network
            inference = replace(inference, drop_above=self.choose_drop(inference, modules), types=True)
        return Fitted(
            modules=modules | head,
            class_names=self.dataset.class_names,
            channels=self.settings.channels,
            thresholds={"drop_above": inference.drop_above, **stored("severity", choice.thresholds)},
            tiling={"tile": inference.tiling.tile, "halo": inference.tiling.halo, "stride": inference.cell},
            curves=choice.curves,
            memory=MapMemory(image_score=fitted_score),
        )

    @cached_property
    def train(self) -> tuple[Sample, ...]:
        return self.dataset.split("train").samples

    @cached_property
    def validation(self) -> tuple[Sample, ...]:
        return self.dataset.split("val").samples

    @cached_property
    def reader(self) -> SampleReader:
        return SampleReader(self.trainer, self.dataset.class_names, self.settings.channels)

    def read(self, number: int) -> tuple[Pixels, ClassMap]:
        """Pixels and class map of the training image of that number."""
        return self.reader.read(self.train[number])

    def inference(self, thresholds: RegionThresholds) -> SeverityInference:
        """Inference of stages 1 to 3; stage 4 is added once it is trained."""
        return inference_from(
            self.settings,
            self.dataset.class_names,
            threshold=thresholds.grow,
            start_threshold=thresholds.start,
            min_area=thresholds.min_area,
            drop_above=self.settings.drop_above or MIN_DROP,
        ).without_types()

    # Stage 1

    def train_regression(self, found: DefectSurvey) -> nn.Module:
        """Train stage 1 on patches."""
        torch.manual_seed(self.trainer.seed)
        network = new_network(self.settings)
        if isinstance(network, EncoderDecoder):
            self.trainer.note(network.origin)
        source = PatchSource(self.settings, self.read, found.sizes, found.marked, found.scale)
        self.optimise(
            "regression",
            network,
            steps=self.settings.steps,
            peak=self.settings.learning_rate,
            batch=lambda step, rank: source.batch(self.generator(REGRESSION, step, rank)),
            loss=partial(severity_loss, defect_cells=self.settings.defect_cells),
            weight_average=self.settings.weight_average,
            rate_shares=self.settings.rate_shares,
        )
        return network

    def choose_thresholds(
        self, modules: Mapping[str, nn.Module]
    ) -> tuple[ChosenThresholds, MapScore | None, dict[str, nn.Module]]:
        """Choose T of stage 2 and what regions start from on the validation images (section III-A-2), and fit
        the image score on them; returns its head, too.
        """
        fitter = ImageScoreFitter(
            self.every_image or self.train,
            self.settings,
            self.trainer,
            channels=self.settings.channels,
            max_value=SEVERITY_MAX,
        )
        chosen = chosen_thresholds(
            self.settings,
            self.trainer,
            lambda regions: self.validation_maps(modules, fitter, regions),
            max_threshold=SEVERITY_MAX,
        )
        return chosen, *fitter.fit()

    def validation_maps(
        self, modules: Mapping[str, nn.Module], fitter: ImageScoreFitter, regions: RegionSweep | None
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Severities and true mask of each validation image's pixels, [H, W].

        fitter: given the cells; regions: given the regions, if any
        """
        networks = self.trainer.networks(modules)
        inference = self.inference(RegionThresholds(SEVERITY_MAX / 2, start=0.0))
        for sample in self.trainer.track(self.validation, "choosing the threshold"):
            pixels, classes = self.reader.read(sample)
            size = (classes.shape[0], classes.shape[1])
            raw = inference.forward(pixels, networks)
            fitter.update(raw, pixels, defective=bool(classes.any()))
            if regions is not None:
                regions.add(sample, size, partial(grown, inference, raw, size))
            yield inference.in_pixels(raw, size), classes > 0

    # Stage 4

    def new_types(self) -> TypeNetwork | None:
        """Type classifier with its first weights; None where stage 4 is off."""
        if not tells_types(self.settings, self.dataset.class_names):
            return None
        torch.manual_seed(self.trainer.seed + 1)
        network, origin = new_type_network(self.settings, len(self.dataset.class_names))
        self.trainer.note(f"type classifier {origin}")
        return network

    def train_types(
        self,
        network: TypeNetwork,
        found: DefectSurvey,
        inference: SeverityInference,
        modules: Mapping[str, nn.Module],
    ) -> None:
        """Train stage 4, in place, on windows that `inference` collects."""
        source = WindowSource(
            self.settings,
            self.read,
            self.examples(inference, self.trainer.networks(modules)),
            found.sizes,
            background=len(self.dataset.class_names),
        )
        self.optimise(
            "types",
            network,
            steps=self.settings.types_steps,
            peak=self.settings.types_learning_rate,
            batch=lambda step, rank: source.batch(self.generator(TYPES, step, rank)),
            loss=type_loss,
        )

    def examples(self, inference: SeverityInference, networks: Networks) -> dict[int, list[WindowExample]]:
        """Windows on marked defects, on what stage 1 finds of them, and on its false positives, by label."""
        ratio = self.settings.false_positive_ratio
        eager = replace(
            inference,
            threshold=inference.threshold * ratio,
            start_threshold=inference.start_threshold * ratio,
        )
        examples: dict[int, list[WindowExample]] = defaultdict(list)
        for number, sample in enumerate(self.trainer.track(self.train, "collecting examples of types")):
            pixels, classes = self.reader.read(sample)
            raw = inference.forward(pixels, networks)
            places = [
                (region, label) for label, region in marked_regions(classes, self.settings.join_distance)
            ]
            places += self.labelled(inference.regions(raw, classes.shape), classes, background=False)
            places += self.labelled(eager.regions(raw, classes.shape), classes, background=True)
            for region, label in places:
                windows = windows_on(
                    region.mask,
                    region.offset_xy,
                    window=self.settings.types_window,
                    step=self.settings.types_step,
                    overlap=self.settings.types_overlap,
                )
                examples[label].append(WindowExample(number, label, tuple(windows)))
        return dict(examples)

    def labelled(
        self, regions: Iterable[Region], classes: ClassMap, *, background: bool
    ) -> list[tuple[Region, int]]:
        """Regions with their true label: either those that are background, or those that are defects."""
        number = len(self.dataset.class_names)
        labels = (
            (region, true_label(region, classes, background=number, min_share=self.settings.false_share))
            for region in regions
        )
        return [(region, label) for region, label in labels if (label == number) == background]

    def choose_drop(self, inference: SeverityInference, modules: Mapping[str, nn.Module]) -> float:
        """Background probability from which stage 4 drops a defect: it loses no true validation defect."""
        if self.settings.drop_above is not None:
            return self.settings.drop_above
        networks = self.trainer.networks(modules)
        limit = MIN_DROP
        for sample in self.trainer.track(self.validation, "checking the type classifier"):
            pixels, classes = self.reader.read(sample)
            raw = inference.forward(pixels, networks)
            for region, _ in self.labelled(inference.regions(raw, classes.shape), classes, background=False):
                limit = max(limit, float(inference.vote(region, pixels, networks)[:, -1].mean()) + 1e-3)
        return min(limit, 1.0)

    # Both

    def optimise(self, name: str, network: nn.Module, *, steps: int, peak: float, **parts: Any) -> None:
        """Train a network in a stage of its own.

        peak: of the learning rate; parts: other fields of `Stage`
        """
        settings = self.settings
        self.trainer.optimise(
            Stage(
                name=name,
                network=network,
                steps=steps,
                optimiser=lambda parameters: adamw(parameters, weight_decay=settings.weight_decay),
                learning_rate=scheduled(peak, steps=steps, warmup=min(settings.warmup, steps // 10)),
                gradient_clip=settings.gradient_clip,
                **parts,
            )
        )

    def generator(self, *keys: int) -> Generator:
        return np.random.default_rng([self.trainer.seed, *keys])


def grown(
    inference: SeverityInference, raw: NDArray[np.float32], size: tuple[int, int], threshold: float
) -> list[Region]:
    """Regions of any strength and area that have grown to a threshold. raw: severities; size: of the image"""
    return list(replace(inference, threshold=threshold).regions(raw, size))


def marked_regions(classes: ClassMap, join_distance: float) -> list[tuple[int, Region]]:
    """Marked defects of a class map as regions, with their class numbers."""
    return [
        (label, Region(mask, offset_xy, NO_SEVERITIES))
        for label, mask, offset_xy in split_classes(classes, join_distance=join_distance)
    ]


def true_label(region: Region, classes: ClassMap, *, background: int, min_share: float) -> int:
    """Class of most of a region's marked pixels; `background` where a smaller share than that is marked."""
    left, top = region.offset_xy
    height, width = region.mask.shape
    inside = classes[top : top + height, left : left + width][region.mask]
    marked = inside[inside > 0]
    if not marked.size or marked.size < min_share * inside.size:
        return background
    return int(np.bincount(marked).argmax()) - 1
