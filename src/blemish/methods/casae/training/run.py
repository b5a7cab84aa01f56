"""Training of CASAE: first autoencoder → second on the frozen first → threshold → compact CNN.

Source: Tao et al. 2018, section 5.1. Reads the dataset's splits "train" and "val", a folder of unlabelled
images where the settings name one, and nothing else. Only the first autoencoder learns from the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from blemish.arrays import Pixels
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.outlined import left_out, nothing_outlined, outlined
from blemish.dataset.samples import Dataset
from blemish.methods.casae.inference import CasaeInference, inference_from, tells_types
from blemish.methods.casae.network.cascade import Cascade, Single, pixel_loss
from blemish.methods.casae.network.compact import CompactNetwork
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.casae.training.contrast import ContrastMeter
from blemish.methods.casae.training.sheet import training_sheet
from blemish.methods.casae.training.sources import FIRST, SECOND, MapSource, TypeSource
from blemish.methods.casae.training.teacher import MeanTeacher, with_mean_teacher
from blemish.methods.casae.training.unlabelled import (
    TrainingImages,
    UnlabelledSource,
    select_training_images,
)
from blemish.methods.common.map_score import MapAndMask, MapMemory, MapScore
from blemish.methods.common.patches import MarkedDefect, marked_defects
from blemish.methods.common.region_thresholds import ChosenThresholds, chosen_thresholds, stored
from blemish.methods.common.samples import ClassMap, SampleReader
from blemish.methods.common.training.image_head import ImageScoreFitter
from blemish.methods.contract import Fitted, RegionSweep, Stage, Trainer
from blemish.nn.encoder import EncoderDecoder
from blemish.nn.optimisation import adam, momentum_sgd, scheduled
from blemish.regions.region import Region

ADAM_BETAS = 0.9, 0.999


def fit(dataset: Dataset, settings: CasaeSettings, trainer: Trainer) -> Fitted:
    """Train every stage in the paper's order. Raises BlemishError where the data marks no defect pixel."""
    return CasaeTraining(dataset, settings, trainer).run()


@dataclass(frozen=True)
class CasaeTraining:
    """Trains CASAE once on a dataset."""

    dataset: Dataset
    settings: CasaeSettings
    trainer: Trainer

    def run(self) -> Fitted:
        cascade = self.train_maps()
        modules: dict[str, nn.Module] = {"cascade": cascade}
        choice, fitted_score, head = self.choose_thresholds(cascade)
        if tells_types(self.settings, self.dataset.class_names):
            modules["types"] = self.train_types()
        settings = self.settings
        if settings.unlabelled is not None:  # its path means nothing elsewhere
            settings = settings.model_copy(update={"unlabelled": Path(settings.unlabelled).resolve().name})
        return Fitted(
            modules=modules | head,
            class_names=self.dataset.class_names,
            channels=self.settings.channels,
            thresholds=stored("probability", choice.thresholds, self.settings),
            tiling={},
            curves=choice.curves,
            memory=MapMemory(image_score=fitted_score),
            notes=(*left_out(self.dataset), *self.images.sentences),
            settings=settings,
            trained_on_before=tuple(image_digests(replace(self.dataset, samples=self.images.foreign))),
        )

    # Data

    @cached_property
    def reader(self) -> SampleReader:
        return SampleReader(self.trainer, self.dataset.class_names, self.settings.channels)

    def read(self, number: int) -> tuple[Pixels, ClassMap]:
        """Pixels and class map of the labelled training image of that number."""
        return self.reader.read(self.images.labelled[number])

    @cached_property
    def images(self) -> TrainingImages:
        """Images to learn from; notes where these are not all training images with their masks."""
        images = select_training_images(self.dataset, self.settings, self.trainer.seed)
        for sentence in (*left_out(self.dataset), *images.sentences):
            self.trainer.note(sentence)
        return images

    @cached_property
    def marked(self) -> tuple[MarkedDefect, ...]:
        """Marked defects of the training images. Raises BlemishError where there are none."""
        tracked = self.trainer.track(self.images.labelled, "reading training images")
        class_maps = (self.reader.read(sample)[1] for sample in tracked)
        marked = marked_defects(class_maps, join_distance=self.settings.join_distance)
        if not marked:
            raise nothing_outlined()
        return marked

    # Autoencoders

    def train_maps(self) -> Cascade:
        """Train the first autoencoder, then the second on what the first, now frozen, makes of images.

        Raises BlemishError for an image that cannot be read, labelled or not, before any training.
        """
        marked = self.marked
        if self.images.unlabelled:
            for sample in self.trainer.track(self.images.unlabelled, "reading unlabelled images"):
                self.reader.pixels(sample)
        torch.manual_seed(self.trainer.seed)
        cascade = Cascade(self.settings)
        if isinstance(cascade.first, EncoderDecoder):
            self.trainer.note(cascade.first.origin)
        first = self.map_source(FIRST, marked)
        self.trainer.save_image("training-images", lambda: training_sheet(first))
        optimise = self.optimise_with_teacher if self.images.unlabelled else self.trainer.optimise
        stage = self.map_stage("first", cascade.first, first, lambda images: images, self.settings.steps)
        optimise(replace(stage, rate_shares=self.settings.rate_shares))
        if cascade.second is not None:
            cascade.first.requires_grad_(False).eval()
            second, inputs = self.map_source(SECOND, marked), cascade.second_input
            self.trainer.optimise(
                self.map_stage("second", cascade.second, second, inputs, self.settings.second_steps)
            )
        return cascade

    def map_source(self, stage: int, marked: tuple[MarkedDefect, ...]) -> MapSource:
        return MapSource(
            self.settings,
            self.read,
            samples=len(self.images.labelled),
            marked=marked,
            seed=self.trainer.seed,
            stage=stage,
        )

    def map_stage(
        self,
        name: str,
        network: nn.Module,
        source: MapSource,
        inputs: Callable[[Tensor], Tensor],
        steps: int,
    ) -> Stage:
        """Stage of an autoencoder. inputs: images [B, C, s, s] to what the network takes"""
        settings = self.settings
        return Stage(
            name=name,
            network=network,
            steps=steps,
            batch=source.draw,
            loss=lambda prepared, batch: pixel_loss(
                prepared(inputs(batch["images"])), batch["truth"], settings
            ),
            optimiser=lambda parameters: adam(
                parameters, betas=ADAM_BETAS, weight_decay=settings.weight_decay
            ),
            learning_rate=scheduled(settings.learning_rate, steps=steps, schedule=settings.schedule),
            gradient_clip=settings.gradient_clip,
            weight_average=settings.weight_average,
        )

    def optimise_with_teacher(self, stage: Stage) -> None:
        """Train the stage on unlabelled images, too; its network ends with the teacher's weights."""
        settings, unlabelled = self.settings, self.images.unlabelled
        learner = MeanTeacher(
            stage.network,
            decay=settings.teacher_decay,
            digests=image_digests(replace(self.dataset, samples=unlabelled)),
        )
        source = UnlabelledSource(settings, self.reader.pixels, unlabelled, self.trainer.seed)
        self.trainer.optimise(with_mean_teacher(stage, learner, source.draw, settings))
        stage.network.load_state_dict(learner.teacher.state_dict())

    # Threshold

    def choose_thresholds(
        self, cascade: Cascade
    ) -> tuple[ChosenThresholds, MapScore | None, dict[str, nn.Module]]:
        """Choose thresholds on the validation images' probability maps, and fit the image score on them;
        returns its head, too.

        A note where the maps are flat.
        """
        contrast = ContrastMeter()
        fitter = ImageScoreFitter(
            self.dataset.split("train").samples,
            self.settings,
            self.trainer,
            channels=self.settings.channels,
            max_value=1.0,
        )

        def maps(regions: RegionSweep | None) -> Iterator[MapAndMask]:
            pairs = self.validation_maps(cascade, "choosing the threshold", regions, fitter)
            return contrast.passed_on(pairs)

        chosen = chosen_thresholds(self.settings, self.trainer, maps, max_threshold=1.0)
        if contrast.is_flat:
            number, steps = self.flat_network(cascade)
            self.trainer.note(
                f"On validation images the map is only {max(0.0, contrast.difference):.2f} higher on defects "
                f"than beside them: the {number} network is still on its first plateau. Raise {steps} or "
                "learning_rate, or train with another --seed."
            )
        return chosen, *fitter.fit()

    def flat_network(self, cascade: Cascade) -> tuple[str, str]:
        """Name of the network that makes a cascade's map flat, and of the setting of its steps.

        The second has nothing to refine where the first one's map is flat, so the first is checked first.
        """
        if cascade.second is not None:
            contrast = ContrastMeter()
            for probability, mask in self.validation_maps(
                Single(cascade.first), "checking the first network"
            ):
                contrast.update(probability, mask)
            if not contrast.is_flat:
                return "second", "second_steps"
        return "first", "steps"

    def validation_maps(
        self,
        network: nn.Module,
        title: str,
        regions: RegionSweep | None = None,
        fitter: ImageScoreFitter | None = None,
    ) -> Iterator[MapAndMask]:
        """Probability map and true mask of each outlined validation image, [H, W] each.

        regions, fitter: given the regions and the maps, if any
        """
        networks = self.trainer.networks({"cascade": network})
        inference = inference_from(self.settings, self.dataset.class_names, threshold=0.5, min_area=0.0)
        samples = outlined(self.dataset).split("val").samples
        maps = self.reader.maps_and_masks(
            samples, lambda pixels: inference.forward(pixels, networks), title=title
        )
        for sample, (raw, mask) in zip(samples, maps, strict=True):
            if regions is not None:
                regions.add(sample, (raw.shape[0], raw.shape[1]), partial(grown, inference, raw))
            if fitter is not None:
                fitter.update(raw, self.reader.pixels(sample), defective=bool(mask.any()))
            yield raw, mask

    # Types

    def train_types(self) -> CompactNetwork:
        """Train the compact CNN on upright crops of the marked defects."""
        settings = self.settings
        torch.manual_seed(self.trainer.seed + 1)
        network = CompactNetwork(
            len(self.dataset.class_names),
            size=settings.types_size,
            initial=settings.types_initial,
            standardise=settings.types_standardise,
        )
        source = TypeSource(settings, self.read, self.marked, self.trainer.seed)
        self.trainer.optimise(
            Stage(
                name="types",
                network=network,
                steps=settings.types_steps,
                batch=source.draw,
                loss=lambda prepared, batch: functional.cross_entropy(
                    prepared(batch["images"]).float(), batch["labels"]
                ),
                optimiser=lambda parameters: momentum_sgd(
                    parameters,
                    momentum=settings.types_momentum,
                    weight_decay=settings.types_weight_decay,
                ),
                learning_rate=scheduled(
                    settings.types_learning_rate, steps=settings.types_steps, schedule=settings.types_schedule
                ),
                gradient_clip=settings.gradient_clip,
            )
        )
        return network


def grown(inference: CasaeInference, raw: NDArray[np.float32], threshold: float) -> list[Region]:
    """Regions of any strength and area that have grown to a threshold. raw: probabilities, [H, W]"""
    return replace(inference, threshold=threshold).regions(raw)
