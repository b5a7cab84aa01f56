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
from blemish.methods.severity.network import ContextNetwork, new_network, new_type_network
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.training.dropping import MIN_DROP, JudgedRegion, f1_drop, lossless_drop
from blemish.methods.severity.training.examples import WindowExample, WindowSource
from blemish.methods.severity.training.losses import severity_loss, type_loss
from blemish.methods.severity.training.marked import inside, marked_regions, true_label
from blemish.methods.severity.training.patches import PatchSource
from blemish.methods.severity.training.survey import DefectSurvey, survey
from blemish.methods.severity.windows import windows_on
from blemish.nn.encoder import EncoderDecoder
from blemish.nn.optimisation import adamw, scheduled
from blemish.regions.region import Region

REGRESSION, TYPES = 1, 2  # keys that keep the two stages' random draws apart


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
        modules = self.train_regression(found)
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
            thresholds={
                "drop_above": inference.drop_above,
                **stored("severity", choice.thresholds, self.settings),
            },
            tiling={"tile": inference.tiles.tile, "halo": inference.tiles.halo, "stride": inference.cell},
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

    def train_regression(self, found: DefectSurvey) -> dict[str, nn.Module]:
        """Train stage 1 on patches; returns its networks, "severity" and perhaps "context"."""
        settings = self.settings
        torch.manual_seed(self.trainer.seed)
        modules = {"severity": new_network(settings)}
        network, rate_shares = modules["severity"], settings.rate_shares
        if isinstance(network, EncoderDecoder):
            self.trainer.note(network.origin)
        if settings.context > 1:
            modules["context"] = new_network(settings)
            network = ContextNetwork(modules["severity"], modules["context"], settings.context)
            rate_shares = {f"{name}.{part}": share for name in modules for part, share in rate_shares.items()}
        source = PatchSource(self.settings, self.read, found.sizes, found.marked, found.scale)
        self.optimise(
            "regression",
            network,
            steps=settings.steps,
            peak=settings.learning_rate,
            batch=lambda step, rank: source.batch(self.generator(REGRESSION, step, rank)),
            loss=partial(
                severity_loss,
                loss=settings.loss,
                defect_cells=settings.defect_cells,
                patch_balance=settings.patch_balance,
                hard=source.num_hard,
                hard_candidates=settings.hard_candidates,
            ),
            weight_average=settings.weight_average,
            rate_shares=rate_shares,
        )
        return modules

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
            fitter.update(inference.scored(raw), pixels, defective=bool(classes.any()))
            if regions is not None:
                regions.add(sample, size, partial(grown, inference, raw, size))
            yield inference.in_pixels(raw, size), classes > 0

    # Stage 4

    def new_types(self) -> nn.Module | None:
        """Type classifier with its first weights; None where stage 4 is off."""
        if not tells_types(self.settings, self.dataset.class_names):
            return None
        torch.manual_seed(self.trainer.seed + 1)
        network, origin = new_type_network(self.settings, len(self.dataset.class_names))
        self.trainer.note(f"type classifier {origin}")
        return network

    def train_types(
        self,
        network: nn.Module,
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
            background=self.background,
        )
        self.optimise(
            "types",
            network,
            steps=self.settings.types_steps,
            peak=self.settings.types_learning_rate,
            batch=lambda step, rank: source.batch(self.generator(TYPES, step, rank)),
            loss=partial(
                type_loss,
                hard=source.num_background,
                hard_candidates=self.settings.types_hard_candidates,
            ),
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
            found = self.with_labels(self.strongest(inference, raw, classes.shape), classes)
            false = self.with_labels(self.strongest(eager, raw, classes.shape), classes)
            places += [(region, label) for region, label in found if label < self.background]
            places += [(region, label) for region, label in false if label == self.background]
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

    def strongest(
        self, inference: SeverityInference, raw: NDArray[np.float32], size: tuple[int, int]
    ) -> list[Region]:
        """Regions of an image, the strongest first, at most `types_regions`. raw: severities; size: (H, W)"""
        found = sorted(inference.regions(raw, size), key=lambda region: -region.strongest)
        return found[: self.settings.types_regions]

    @property
    def background(self) -> int:
        """Label of background, N."""
        return len(self.dataset.class_names)

    def with_labels(self, regions: Iterable[Region], classes: ClassMap) -> Iterator[tuple[Region, int]]:
        """Regions with their true label, see `true_label`."""
        for region in regions:
            share = self.settings.false_share
            yield region, true_label(region, classes, background=self.background, min_share=share)

    def choose_drop(self, inference: SeverityInference, modules: Mapping[str, nn.Module]) -> float:
        """Background probability from which stage 4 drops a defect, by the setting `drop_rule`."""
        if self.settings.drop_above is not None:
            return self.settings.drop_above
        networks = self.trainer.networks(modules)
        judged: list[JudgedRegion] = []
        num_defects = 0
        for sample in self.trainer.track(self.validation, "checking the type classifier"):
            pixels, classes = self.reader.read(sample)
            numbers = np.zeros(classes.shape, np.int32)
            for _, marked in marked_regions(classes, self.settings.join_distance):
                num_defects += 1
                inside(marked, numbers)[marked.mask] = num_defects
            raw = inference.forward(pixels, networks)
            for region, label in self.with_labels(self.strongest(inference, raw, classes.shape), classes):
                background = float(inference.vote(region, pixels, networks)[:, -1].mean())
                below = inside(region, numbers)[region.mask] if label < self.background else ()
                judged.append(JudgedRegion(background, frozenset(map(int, below)) - {0}))
        if self.settings.drop_rule == "lossless":
            return lossless_drop(judged)
        return f1_drop(judged, num_defects)

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
