"""Training TL-SDD: base training on common classes → few-shot fine-tuning → class bank → score threshold.

Source: TL-SDD section III-B. Reads the dataset's splits "train" and "val" and nothing else. The baselines
without two phases are trained on all classes at once, of the rare ones the same few boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, cast

import numpy as np
import torch
from torch import nn

from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError, nearest_name
from blemish.images.resize import with_shorter_side
from blemish.methods.common import image_head
from blemish.methods.common.training.image_head import trained_image_head
from blemish.methods.contract import Fitted, Stage, Trainer
from blemish.methods.tlsdd.class_bank.bank import ClassBank, ClassEntry
from blemish.methods.tlsdd.class_bank.enrolled import BACKGROUND, ENROLLED, SAMPLE, EnrolledClasses
from blemish.methods.tlsdd.class_bank.entries import class_entry, extract
from blemish.methods.tlsdd.data.training_images import Phase, read_annotations
from blemish.methods.tlsdd.data.views import MIRRORED
from blemish.methods.tlsdd.memory import TlsddCurves, TlsddMemory
from blemish.methods.tlsdd.network.class_tensors import EnrolledTensors, digest_of
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.network.map_cache import MapCache
from blemish.methods.tlsdd.network.scores import MetricScores
from blemish.methods.tlsdd.network.torch_parts import TorchParts
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.methods.tlsdd.training.background import Background, background_of
from blemish.methods.tlsdd.training.checks import (
    refuse_no_validation,
    refuse_other_network,
    refuse_unknown_classes,
)
from blemish.methods.tlsdd.training.data_choices import with_data_choices
from blemish.methods.tlsdd.training.diagnosis import TrainingDiagnosis, diagnose_base, rare_class_outcomes
from blemish.methods.tlsdd.training.episodes import EpisodeSampler, ImageSampler
from blemish.methods.tlsdd.training.image_score import fit_image_shift
from blemish.methods.tlsdd.training.losses import total_loss
from blemish.methods.tlsdd.training.training_split import TrainingSplit
from blemish.methods.tlsdd.training.validation import (
    FOUND_IOU,
    class_shifts,
    detect_on_validation,
    own_threshold_sentences,
    score_threshold,
)
from blemish.methods.tlsdd.training.validation_images import with_unlisted_ignored
from blemish.nn.optimisation import momentum_sgd, warm_steps
from blemish.nn.weights import load_state

BASE, FINE, JOINT, BANK, BACKGROUND_IMAGES = range(5)  # what draws are for; part of their seeds
BASE_FOLDER = "base"


def fit(dataset: Dataset, settings: TlsddSettings, trainer: Trainer) -> Fitted:
    """Train on the splits "train" and "val". From a start bundle, or else with a base bundle on the way.

    Raises BlemishError for class names that the data does not have, and boxes that cannot be had.
    """
    refuse_unknown_classes(dataset, settings)
    return TlsddTraining.on(dataset, settings, trainer).run()


def rehearsed_settings(dataset: Dataset, settings: TlsddSettings, start: Bundle | None) -> TlsddSettings:
    """Settings with what all training images make of "auto", but for the number of boxes in phase 2.

    The image head learns from the few images of a rehearsal where it does from all.
    """
    images = read_annotations(dataset.split("train").samples).images
    chosen, _ = with_data_choices(settings, dataset.class_names, images, start)
    few = image_head.rehearsed_images(dataset, settings)
    return chosen.model_copy(update={"fine_tune_boxes": settings.fine_tune_boxes, "image_score_images": few})


@dataclass(frozen=True)
class TlsddTraining:
    """Trains TL-SDD once on a dataset, from the checks to the bundle's contents. settings: without "auto" """

    dataset: Dataset
    settings: TlsddSettings
    trainer: Trainer
    split: TrainingSplit

    @classmethod
    def on(cls, dataset: Dataset, settings: TlsddSettings, trainer: Trainer) -> Self:
        """Set up a training: read the boxes, and choose what the settings leave to the data."""
        samples = dataset.split("train").samples
        annotated = read_annotations(trainer.track(samples, "reading boxes"))
        chosen, lines = with_data_choices(
            settings, dataset.class_names, annotated.images, trainer.initial_bundle
        )
        for line in lines:
            trainer.note(line)
        return cls(dataset, chosen, trainer, TrainingSplit(dataset, chosen, trainer, annotated))

    def run(self) -> Fitted:
        """Train all phases; returns them with the base bundle where one was trained on the way."""
        self.check_before_training()
        split = self.split
        self.note(*split.annotated.notes, *(split.draw.notes if split.draw else ()))
        if not self.settings.two_phase:
            return self.finished(self.joint(), split.class_names)
        base = self.base()
        if not split.rare:
            return self.finished(base, split.common)
        before = diagnose_base(base, split)
        self.note(*before.sentences)
        extra = {} if self.trainer.initial_bundle else {BASE_FOLDER: self.finished(base, split.common)}
        tuned = self.finished(self.fine_tuned(base), split.class_names, before)
        return replace(tuned, extra_models=extra)

    def check_before_training(self) -> None:
        """Raise BlemishError, before any work, for what would only fail after training."""
        refuse_other_network(self.settings, self.trainer.initial_bundle)
        trains_base = self.settings.two_phase and self.trainer.initial_bundle is None
        for names in (*([self.split.common] if trains_base else []), self.split.class_names):
            refuse_no_validation(self.dataset, names, self.settings.ng_rule)

    def note(self, *sentences: str) -> None:
        for sentence in sentences:
            self.trainer.note(sentence)

    # Phases

    def joint(self) -> Detector:
        """Detector of all classes, trained in one phase."""
        detector = self.new_detector(self.split.class_names)
        self.optimise("joint", detector, JOINT, "joint", self.settings.steps, 1.0)
        return detector

    def base(self) -> Detector:
        """Detector of the common classes: the start bundle's, or trained here."""
        start = self.trainer.initial_bundle
        detector = self.new_detector(self.split.common, replaced=start is not None)
        named_parts(detector, self.settings.frozen)  # refuses a misspelt one now, not after base training
        if start is not None:
            load_state(detector, start.networks["detector"], str(start.path))
            return detector
        self.optimise("base", detector, BASE, "base", self.settings.steps, 1.0)
        return detector

    def fine_tuned(self, base: Detector) -> Detector:
        """Detector of all classes, from phase 2."""
        detector = self.new_detector(self.split.class_names, replaced=True)
        detector.grow_from(base)
        if isinstance(detector.scores, MetricScores):
            detector.scores.learn_offsets()
        for part in named_parts(detector, self.settings.frozen):
            part.requires_grad_(False)
        phase: Phase = "mixed" if self.settings.fine_tune_common == "all" else "few"
        self.optimise(
            "fine",
            detector,
            FINE,
            phase,
            self.settings.fine_tune_steps,
            self.settings.fine_tune_learning_rate_ratio,
        )
        return detector

    def new_detector(self, names: tuple[str, ...], *, replaced: bool = False) -> Detector:
        """Build a detector before training.

        replaced: whether other weights take the place of the backbone's, which need not be at hand then
        """
        torch.manual_seed(self.trainer.seed)
        if replaced:
            return Detector(self.settings.model_copy(update={"backbone_weights": "none"}), len(names))
        detector = Detector(self.settings, len(names))
        self.trainer.note(detector.origin)
        return detector

    def optimise(
        self, name: str, detector: Detector, stage: int, phase: Phase, steps: int, rate: float
    ) -> None:
        """Train in place. stage: part of the draws' seed; rate: factor of the learning rate"""
        settings = self.settings
        sampler = self.sampler(phase, stage)
        maps = MapCache(detector, views=self.views)
        peak = settings.learning_rate * rate
        warmup = min(settings.warmup, steps // 3)
        self.trainer.optimise(
            Stage(
                name=name,
                network=detector,
                steps=steps,
                batch=sampler.draw,
                loss=lambda network, batch: total_loss(detector, batch, maps),
                optimiser=lambda parameters: momentum_sgd(
                    parameters, momentum=settings.momentum, weight_decay=settings.weight_decay
                ),
                learning_rate=lambda step: (
                    peak * warm_steps(step, steps=steps, warmup=warmup, drops=settings.drops)
                ),
                gradient_clip=settings.gradient_clip,
                cache=maps.memory.use,
            )
        )

    @property
    def views(self) -> int | None:
        """Views in which an image may come; None where it is cut at random, so that each is another."""
        settings = self.settings
        sizes = [
            with_shorter_side(image.size, settings.shorter_side) for image in self.split.annotated.images
        ]
        if max(map(max, sizes), default=0) > settings.tile:
            return None
        return MIRRORED if settings.flips else 1

    def sampler(self, phase: Phase, stage: int) -> EpisodeSampler | ImageSampler:
        """Batches of a phase. stage: part of the draws' seed"""
        settings = self.settings
        drawn_from = (settings, self.split.read, self.split.images(phase), self.trainer.seed, stage)
        if settings.episodic and phase != "joint":
            return EpisodeSampler(*drawn_from)
        by_class = phase in ("few", "mixed") and settings.fine_tune_images == "by_class"
        return ImageSampler(*drawn_from, by_class=by_class)

    # The bundle's contents

    def finished(
        self, detector: Detector, names: tuple[str, ...], before: TrainingDiagnosis | None = None
    ) -> Fitted:
        """Complete a detector with its class bank, threshold, and the diagnosis of its rare classes."""
        bank, examples = self.filled_bank(detector, names)
        class_tensors = bank.to_torch(next(detector.parameters()).device)
        detector.serve(class_tensors)
        modules: dict[str, nn.Module] = {"detector": detector, "bank": class_tensors}
        background = self.background(detector, bank, names)
        if background is not None:
            classes = EnrolledClasses(background.mean, sample=background.sample)
            modules[ENROLLED] = EnrolledTensors(classes.tensors(self.settings))
        settings, dataset = self.settings, with_unlisted_ignored(self.dataset, names)
        head = trained_image_head(
            self.split.labelled_samples(names),
            settings,
            self.trainer,
            channels=3,
            stage=image_head.STAGE if names == self.split.class_names else image_head.BASE_STAGE,
        )
        if head is not None:
            modules[image_head.NAME] = head
        networks = self.trainer.networks(modules)
        detected = detect_on_validation(dataset, names, settings, networks, self.trainer)
        image_shift = fit_image_shift(detected)
        if image_shift is None:
            modules.pop(image_head.NAME, None)
        else:
            detected = detected.with_image_shift(image_shift)
        threshold, shifts = settings.threshold, {}
        if threshold is None:
            shifts = class_shifts(
                detected, names, clean_weight=settings.clean_weight, min_boxes=settings.class_threshold_boxes
            )
            detected = detected.with_shifts(shifts)
            threshold = score_threshold(detected, clean_weight=settings.clean_weight)
        diagnosed = [name for name in names if name in self.split.rare] or list(names)
        after = rare_class_outcomes(detected.truth, detected.above(threshold), diagnosed, iou=FOUND_IOU)
        own_thresholds = own_threshold_sentences(shifts, threshold)
        self.note(*own_thresholds, *after["sentences"])
        return Fitted(
            modules=modules,
            class_names=names,
            channels=3,
            thresholds={"score": threshold},
            tiling={"tile": settings.tile, "overlap": settings.overlap},
            curves=TlsddCurves.model_validate(
                {"doctor": {"before": before.parts if before else {}, "after": after}}
            ),
            notes=(*(before.sentences if before else ()), *own_thresholds, *after["sentences"]),
            memory=TlsddMemory(
                common=self.split.common,
                rare=tuple(name for name in names if name not in self.split.common),
                draw=self.split.draw.to_json() if self.split.draw and names != self.split.common else {},
                examples=examples,
                class_shifts=shifts,
                image_shift=image_shift,
                **(
                    {BACKGROUND: background.regions, SAMPLE: background.sample.features.shape[:2]}
                    if background is not None
                    else {}
                ),
            ),
            dataset=dataset,
            settings=settings,
        )

    def filled_bank(
        self, detector: Detector, names: tuple[str, ...]
    ) -> tuple[ClassBank, dict[str, tuple[str, ...]]]:
        """Fill the bank from the drawn boxes of rare classes and up to `prototypes_per_class` of common ones.

        Returns it and the ids of those boxes, by class. A class without boxes stays unknown.
        """
        parts = TorchParts(detector.eval(), detector.extractor)
        entries: list[ClassEntry] = []
        ids: dict[str, tuple[str, ...]] = {}
        for number, name in enumerate(self.trainer.track(names, "class bank")):
            generator = np.random.default_rng([self.trainer.seed, BANK, number])
            examples = self.split.bank_examples(name, generator)
            ids[name] = tuple(example.id for example in examples)
            entries.append(class_entry(parts, [extract(parts, example, generator) for example in examples]))
            if not examples:
                self.trainer.note(f"Class '{name}' has no box in split 'train', so it is never found.")
        bank = ClassBank.from_entries(entries, [bool(ids[name]) for name in names], digest_of(detector))
        return with_offsets(bank, detector), ids

    def background(self, detector: Detector, bank: ClassBank, names: tuple[str, ...]) -> Background | None:
        """Background that added classes are told from; None where none can be added so."""
        settings = self.settings
        if (
            not settings.metric_head
            or settings.box_regression == "specific"
            or not settings.background_images
        ):
            return None
        generator = np.random.default_rng([self.trainer.seed, BACKGROUND_IMAGES])
        known = [
            number
            for number, image in enumerate(self.split.annotated.images)
            if {box.label for box in image.boxes} <= {*names}
        ]
        drawn = [known[place] for place in generator.permutation(len(known))[: settings.background_images]]
        if not drawn:
            return None
        parts = TorchParts(detector.eval(), detector.extractor)
        images = (self.split.read(number) for number in self.trainer.track(drawn, "background"))
        return background_of(parts, bank, images, generator)


@torch.no_grad()
def with_offsets(bank: ClassBank, detector: Detector) -> ClassBank:
    """Bank with prototypes moved by the detector's offsets, and with its biases, where it has any."""
    if not detector.settings.learns_offsets:
        return bank
    scores = cast(MetricScores, detector.scores)
    moved, biases = scores.moved(torch.from_numpy(bank.prototypes).to(scores.offsets.device))
    assert biases is not None
    return replace(bank, prototypes=moved.cpu().numpy(), biases=biases.cpu().numpy().copy())


def named_parts(detector: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Parts of the detector by name. Raises BlemishError for one that the detector does not have."""
    parts = {name: part for name, part in detector.named_modules() if name}
    for name in names:
        if name not in parts:
            largest = dict(detector.named_children())
            raise BlemishError(
                f"setting frozen: the detector has no part '{name}'.{nearest_name(name, parts)} "
                f"It has {', '.join(largest)}."
            )
    return [parts[name] for name in names]
