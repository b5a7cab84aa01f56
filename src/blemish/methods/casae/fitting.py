"""Training CASAE: first autoencoder → second on the frozen first → threshold → compact CNN.

Source: Tao et al. 2018, section 5.1. Reads the dataset's splits "train" and "val", a folder of unlabelled
images where the settings name one, and nothing else. Only the first autoencoder learns from the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from blemish.dataset.fingerprint import image_digests
from blemish.dataset.masks import class_map
from blemish.dataset.outlined import left_out, outlined
from blemish.dataset.samples import Dataset, Sample
from blemish.methods.casae.compact import CompactNetwork
from blemish.methods.casae.contrast import Contrast
from blemish.methods.casae.inference import CasaeInference, inference_from, tells_types
from blemish.methods.casae.network import Cascade, Single, pixel_loss
from blemish.methods.casae.settings import Settings
from blemish.methods.casae.sources import FIRST, SECOND, MapSource, Marked, TypeSource, marked_defects
from blemish.methods.casae.teacher import MeanTeacher, taught
from blemish.methods.casae.training_sheet import training_sheet
from blemish.methods.casae.unlabelled import Learned, UnlabelledSource, learned_from, portable
from blemish.methods.contract import Fitted, Pixels, Stage, SweptCurves, ThresholdSweep, Trainer
from blemish.nn.optimisation import adam, momentum_sgd, warm_cosine

ADAM_BETAS = 0.9, 0.999


def fit(dataset: Dataset, settings: Settings, trainer: Trainer) -> Fitted:
    """Every stage in the paper's order. Raises BlemishError where the data marks no defect pixel."""
    return Fitting(dataset, settings, trainer).run()


@dataclass(frozen=True)
class Fitting:
    """One training."""

    dataset: Dataset
    settings: Settings
    trainer: Trainer

    def run(self) -> Fitted:
        cascade = self.train_maps()
        modules: dict[str, nn.Module] = {"cascade": cascade}
        sweep = self.choose_threshold(cascade)
        threshold = self.settings.threshold or sweep.best
        if tells_types(self.settings, self.dataset.class_names):
            modules["types"] = self.train_types()
        return Fitted(
            modules=modules,
            class_names=self.dataset.class_names,
            channels=self.settings.channels,
            thresholds={"probability": threshold},
            tiling={},
            curves=SweptCurves.of(sweep),
            notes=(*left_out(self.dataset), *self.learned.sentences),
            settings=portable(self.settings),
            trained_on_before=tuple(image_digests(replace(self.dataset, samples=self.learned.foreign))),
        )

    # Data

    @cached_property
    def learned(self) -> Learned:
        """What is learned from; a line where that is not all training images with their marks."""
        learned = learned_from(self.dataset, self.settings, self.trainer.seed)
        for sentence in (*left_out(self.dataset), *learned.sentences):
            self.trainer.note(sentence)
        return learned

    @property
    def train(self) -> tuple[Sample, ...]:
        return self.learned.labelled

    def read(self, sample: Sample) -> tuple[Pixels, NDArray[np.uint8]]:
        """Pixels and class map of a sample."""
        pixels = self.pixels(sample)
        return pixels, self.trainer.remember(
            sample, lambda: class_map(sample, self.dataset.class_names, pixels.shape[:2])
        )

    def pixels(self, sample: Sample) -> Pixels:
        return self.trainer.read(sample, self.settings.channels)

    def read_unlabelled(self) -> None:
        """Raise BlemishError for an unlabelled image that cannot be read, before any training."""
        if self.learned.unlabelled:
            for sample in self.trainer.track(self.learned.unlabelled, "reading unlabelled images"):
                self.pixels(sample)

    def numbered(self, number: int) -> tuple[Pixels, NDArray[np.uint8]]:
        return self.read(self.train[number])

    @cached_property
    def marked(self) -> tuple[Marked, ...]:
        """The defects of the training images."""
        tracked = self.trainer.track(self.train, "reading training images")
        return marked_defects(
            (self.read(sample)[1] for sample in tracked), join_distance=self.settings.join_distance
        )

    # Autoencoders

    def train_maps(self) -> Cascade:
        """The first autoencoder, then the second on what the first, now frozen, makes of labelled images."""
        marked = self.marked
        self.read_unlabelled()
        torch.manual_seed(self.trainer.seed)
        cascade = Cascade(self.settings)
        self.train_map(
            "first",
            cascade.first,
            inputs=lambda images: images,
            stage=FIRST,
            steps=self.settings.steps,
            marked=marked,
        )
        if cascade.second is not None:
            cascade.first.requires_grad_(False).eval()
            self.train_map(
                "second",
                cascade.second,
                inputs=cascade.second_input,
                stage=SECOND,
                steps=self.settings.second_steps,
                marked=marked,
            )
        return cascade

    def train_map(
        self,
        name: str,
        network: nn.Module,
        *,
        inputs: Callable[[Tensor], Tensor],
        stage: int,
        steps: int,
        marked: tuple[Marked, ...],
    ) -> None:
        """inputs: what this network sees of the images, [B, C, s, s]"""
        settings = self.settings
        optimise = (
            self.optimise_taught if stage == FIRST and self.learned.unlabelled else self.trainer.optimise
        )
        source = MapSource(
            settings,
            self.numbered,
            samples=len(self.train),
            marked=marked,
            seed=self.trainer.seed,
            stage=stage,
        )
        if stage == FIRST:
            self.trainer.picture("training-images", lambda: training_sheet(source))
        optimise(
            Stage(
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
                learning_rate=scheduled(settings.schedule, settings.learning_rate, steps),
                gradient_clip=settings.gradient_clip,
            )
        )

    def optimise_taught(self, stage: Stage) -> None:
        """The stage with unlabelled images beside its own; its network is left with the teacher's weights."""
        settings, unlabelled = self.settings, self.learned.unlabelled
        learner = MeanTeacher(
            stage.network,
            decay=settings.teacher_decay,
            marks=image_digests(replace(self.dataset, samples=unlabelled)),
        )
        source = UnlabelledSource(settings, self.pixels, unlabelled, self.trainer.seed)
        self.trainer.optimise(taught(stage, learner, source.draw, settings))
        stage.network.load_state_dict(learner.teacher.state_dict())

    def choose_threshold(self, cascade: Cascade) -> ThresholdSweep:
        """The best threshold on the validation images' probability maps; a line where they tell nothing."""
        contrast = Contrast()
        sweep = self.trainer.sweep(
            map(contrast.seen, self.probability_maps(cascade, "choosing the threshold")),
            most=1.0,
            criterion=self.settings.threshold_criterion,
        )
        if contrast.flat:
            number, steps = self.flat_network(cascade)
            self.trainer.note(
                f"On validation images the map is only {max(0.0, contrast.difference):.2f} higher on defects "
                f"than beside them: the {number} network is still on its first plateau. Raise {steps} or "
                "learning_rate, or train with another --seed."
            )
        return sweep

    def flat_network(self, cascade: Cascade) -> tuple[str, str]:
        """Which network of a cascade with a flat map is to blame, and the setting of its steps.

        The second has nothing to refine where the first one's map is flat, so that is looked at first.
        """
        if cascade.second is not None:
            contrast = Contrast()
            for pair in self.probability_maps(Single(cascade.first), "looking at the first network"):
                contrast.seen(pair)
            if not contrast.flat:
                return "second", "second_steps"
        return "first", "steps"

    def probability_maps(
        self, network: nn.Module, title: str
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        networks = self.trainer.networks({"cascade": network})
        inference = self.inference(0.5)
        validation = outlined(self.dataset).split("val").samples
        for sample in self.trainer.track(validation, title):
            pixels, classes = self.read(sample)
            yield inference.forward(pixels, networks), classes > 0

    def inference(self, threshold: float) -> CasaeInference:
        return inference_from(self.settings, self.dataset.class_names, threshold=threshold)

    # Types

    def train_types(self) -> CompactNetwork:
        """The compact CNN on upright crops of the marked defects."""
        settings = self.settings
        torch.manual_seed(self.trainer.seed + 1)
        network = CompactNetwork(
            len(self.dataset.class_names),
            size=settings.types_size,
            initial=settings.types_initial,
            standardise=settings.types_standardise,
        )
        source = TypeSource(settings, self.numbered, self.marked, self.trainer.seed)
        self.trainer.optimise(
            Stage(
                name="types",
                network=network,
                steps=settings.types_steps,
                batch=source.draw,
                loss=type_loss,
                optimiser=lambda parameters: momentum_sgd(
                    parameters,
                    momentum=settings.types_momentum,
                    weight_decay=settings.types_weight_decay,
                ),
                learning_rate=scheduled(settings.types_schedule, settings.types_rate, settings.types_steps),
                gradient_clip=settings.gradient_clip,
            )
        )
        return network


def scheduled(schedule: str, peak: float, steps: int) -> Callable[[int], float]:
    """The learning rate of each step: the same throughout, or falling as half a cosine."""
    if schedule == "constant":
        return lambda step: peak
    return lambda step: peak * warm_cosine(step, steps=steps, warmup=0)


def type_loss(network: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy of the types."""
    return functional.cross_entropy(network(batch["images"]).float(), batch["labels"])
