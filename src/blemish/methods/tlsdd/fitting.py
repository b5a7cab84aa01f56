"""Training TL-SDD: base training on common classes → few-shot fine-tuning → class bank → score threshold.

Source: TL-SDD section III-B. Reads the dataset's splits "train" and "val" and nothing else. The baselines
without two phases are trained on all classes at once, of the rare ones the same few boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.support_sets import SupportSet, load_support_set, sample_support_set
from blemish.errors import BlemishError, nearest_name
from blemish.methods.contract import Fitted, Pixels, Stage, Trainer
from blemish.methods.tlsdd.bank import ClassBank, digest_of
from blemish.methods.tlsdd.detector import Batch, Detector
from blemish.methods.tlsdd.enrol import BoxedImage, ClassEntry, class_entry
from blemish.methods.tlsdd.episodes import EpisodeSource, ImageSource
from blemish.methods.tlsdd.findings import Findings, findings_before, score_threshold, validated
from blemish.methods.tlsdd.maps import MapCache
from blemish.methods.tlsdd.memory import TlsddCurves, TlsddMemory
from blemish.methods.tlsdd.refusals import refuse_lacking, refuse_no_validation, refuse_other_network
from blemish.methods.tlsdd.scenes import Phase, Scene, Survey, phase_samples, survey
from blemish.methods.tlsdd.settings import Settings
from blemish.methods.tlsdd.torch_parts import TorchParts
from blemish.nn.optimisation import momentum_sgd, warm_steps
from blemish.nn.weights import load_state

BASE, FINE, JOINT, BANK = range(4)  # what draws are for; part of their seeds
BASE_FOLDER = "base"


def fit(dataset: Dataset, settings: Settings, trainer: Trainer) -> Fitted:
    """Train on the splits "train" and "val". From a start bundle, or else with a base bundle on the way.

    Raises BlemishError for class names that the data has not, and boxes that cannot be had.
    """
    return Fitting(dataset, settings, trainer).run()


@dataclass(frozen=True)
class Fitting:
    """One training."""

    dataset: Dataset
    settings: Settings
    trainer: Trainer

    def run(self) -> Fitted:
        self.refuse_misfits()
        for note in (*self.surveyed.notes, *(self.draw.notes if self.draw else ())):
            self.trainer.note(note)
        if not self.settings.two_phase:
            return self.finished(self.joint(), (*self.common, *self.rare))
        base = self.base()
        if not self.rare:
            return self.finished(base, self.common)
        before = self.examine(base)
        also = {} if self.trainer.start else {BASE_FOLDER: self.finished(base, self.common)}
        tuned = self.finished(self.fine_tuned(base), (*self.common, *self.rare), before)
        return replace(tuned, also=also)

    def refuse_misfits(self) -> None:
        """Raises BlemishError, before any work, for what would only fail after training."""
        refuse_other_network(self.settings, self.trainer.start)
        both = (*self.common, *self.rare)
        base_alone = self.settings.two_phase and self.trainer.start is None
        for names in (self.common, both) if base_alone else (both,):
            refuse_no_validation(self.dataset, names, self.settings.ng_rule)

    # Data

    @cached_property
    def common(self) -> tuple[str, ...]:
        """The classes of base training, in the order of the class numbers."""
        if self.trainer.start is not None:
            return self.trainer.start.manifest.class_names
        named = self.known_names("common", self.settings.common)
        others = tuple(name for name in self.dataset.class_names if name not in self.settings.rare)
        return named or others

    @cached_property
    def rare(self) -> tuple[str, ...]:
        rare = self.known_names("rare", self.settings.rare)
        both = [name for name in rare if name in self.common]
        if both:
            raise BlemishError(
                f"setting rare: '{both[0]}' is one of the common classes of the start bundle. Name new ones."
            )
        return rare

    def known_names(self, setting: str, names: tuple[str, ...]) -> tuple[str, ...]:
        known = self.dataset.class_names
        for name in names:
            if name not in known:
                raise BlemishError(
                    f"setting {setting}: {self.dataset.root} has no class '{name}'."
                    f"{nearest_name(name, known)} It has {', '.join(known)}."
                )
        return names

    @cached_property
    def surveyed(self) -> Survey:
        return survey(self.trainer.track(self.dataset.split("train").samples, "reading boxes"))

    @cached_property
    def draw(self) -> SupportSet | None:
        """The few boxes of each class; none where no class is rare."""
        if not self.rare:
            return None
        digest = fingerprint(self.dataset)
        if self.settings.draw_file:
            file = Path(self.settings.draw_file)
            draw = load_support_set(file, self.dataset, boxes=self.surveyed.boxes, data_fingerprint=digest)
            refuse_lacking(draw, self.rare, file)
            return draw
        seed = self.trainer.seed if self.settings.draw_seed is None else self.settings.draw_seed
        return sample_support_set(
            self.dataset,
            (*self.common, *self.rare),
            self.settings.shots,
            seed,
            boxes=self.surveyed.boxes,
            data_fingerprint=digest,
        )

    def scenes(self, phase: Phase) -> tuple[Scene, ...]:
        found = phase_samples(self.surveyed.images, self.common, self.rare, self.draw, phase=phase)
        for note in found.notes:
            self.trainer.note(note)
        return found.scenes

    def read(self, number: int) -> Pixels:
        """Pixels [H, W, 3] of a training image."""
        return self.trainer.read(self.surveyed.images[number].sample, 3)

    # Phases

    def joint(self) -> Detector:
        detector = self.new_detector((*self.common, *self.rare))
        self.optimise("joint", detector, JOINT, "joint", self.settings.steps, 1.0)
        return detector

    def base(self) -> Detector:
        """The detector of the common classes: the start bundle's, or trained here."""
        start = self.trainer.start
        detector = self.new_detector(self.common, replaced=start is not None)
        named_parts(detector, self.settings.frozen)  # refuses a misspelt one now, not after base training
        if start is not None:
            load_state(detector, start.networks["detector"], str(start.path))
            return detector
        self.optimise("base", detector, BASE, "base", self.settings.steps, 1.0)
        return detector

    def fine_tuned(self, base: Detector) -> Detector:
        detector = self.new_detector((*self.common, *self.rare), replaced=True)
        detector.grow_from(base)
        freeze(detector, self.settings.frozen)
        phase: Phase = "mixed" if self.settings.fine_common == "all" else "few"
        self.optimise("fine", detector, FINE, phase, self.settings.fine_steps, self.settings.fine_rate)
        return detector

    def new_detector(self, names: tuple[str, ...], *, replaced: bool = False) -> Detector:
        """A detector before training.

        replaced: whether others take the place of the backbone's weights; they need not be at hand then
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
        settings = self.settings
        make = EpisodeSource if settings.episodic and phase != "joint" else ImageSource
        source = make(settings, self.read, self.scenes(phase), self.trainer.seed, stage)
        maps = MapCache(detector)
        peak = settings.learning_rate * rate
        warmup = min(settings.warmup, steps // 3)
        self.trainer.optimise(
            Stage(
                name=name,
                network=detector,
                steps=steps,
                batch=source.draw,
                loss=lambda network, batch: total_loss(detector, batch, maps),
                optimiser=lambda parameters: momentum_sgd(
                    parameters, momentum=settings.momentum, weight_decay=settings.weight_decay
                ),
                learning_rate=lambda step: (
                    peak * warm_steps(step, steps=steps, warmup=warmup, drops=settings.drops)
                ),
                gradient_clip=settings.gradient_clip,
            )
        )

    # What becomes of it

    def examine(self, base: Detector) -> Findings:
        """What speaks against finding the rare classes with this base, before they are trained."""
        before = findings_before(base, self.surveyed.images, self.common, self.rare, self.draw, self.trainer)
        for sentence in before.sentences:
            self.trainer.note(sentence)
        return before

    def finished(self, detector: Detector, names: tuple[str, ...], before: Findings | None = None) -> Fitted:
        """The detector with its class bank, threshold, and what the report says of its rare classes."""
        bank, examples = self.filled_bank(detector, names)
        detector.serve(bank)
        modules: dict[str, nn.Module] = {"detector": detector, "bank": bank}
        networks = self.trainer.networks(modules)
        checked = validated(self.dataset, names, self.settings, networks, self.trainer)
        threshold = self.settings.threshold
        if threshold is None:
            threshold = score_threshold(checked)
        after = checked.findings(names, self.rare, threshold)
        for sentence in after.get("sentences", ()):
            self.trainer.note(sentence)
        return Fitted(
            modules=modules,
            class_names=names,
            channels=3,
            thresholds={"score": threshold},
            tiling={"tile": self.settings.tile, "overlap": self.settings.overlap},
            curves=TlsddCurves.model_validate(
                {"doctor": {"before": before.to_json() if before else {}, "after": after}}
            ),
            notes=(*(before.sentences if before else ()), *after.get("sentences", ())),
            memory=TlsddMemory(
                common=self.common,
                rare=tuple(name for name in names if name not in self.common),
                draw=self.draw.to_json() if self.draw and names != self.common else {},
                examples=examples,
            ),
        )

    def filled_bank(
        self, detector: Detector, names: tuple[str, ...]
    ) -> tuple[ClassBank, dict[str, tuple[str, ...]]]:
        """The bank from drawn boxes of rare classes and up to `prototypes_per_class` of common ones.

        A class without boxes stays unknown.
        """
        settings = self.settings
        parts = TorchParts(detector.eval(), detector.extractor)
        bank = ClassBank(len(names), width=settings.width, embedding=settings.embedding)
        device = next(detector.parameters()).device
        entries: list[ClassEntry] = []
        ids: dict[str, tuple[str, ...]] = {}
        for number, name in enumerate(self.trainer.track(names, "class bank")):
            generator = np.random.default_rng([self.trainer.seed, BANK, number])
            chosen = self.bank_examples(name, generator)
            ids[name] = tuple(box_id for box_id, _ in chosen)
            entries.append(class_entry(parts, [image for _, image in chosen], generator))
            if not chosen:
                self.trainer.note(f"class '{name}' has no box in split 'train': it is never found")
        bank.to(device).fill(
            torch.from_numpy(np.stack([entry.vector for entry in entries])),
            torch.from_numpy(np.stack([entry.prototype for entry in entries])),
            torch.tensor([bool(ids[name]) for name in names], device=device),
            digest_of(detector).to(device),
        )
        return bank, ids

    def bank_examples(self, name: str, generator: np.random.Generator) -> list[tuple[str, BoxedImage]]:
        """Ids and images of the boxes that stand for a class: of a rare one those drawn."""
        drawn = self.draw.ids if self.draw is not None and name in self.rare else None
        boxes = [
            (number, box)
            for number, image in enumerate(self.surveyed.images)
            for box in image.boxes
            if box.label == name and (drawn is None or box.id in drawn)
        ]
        order = generator.permutation(len(boxes))[: self.settings.prototypes_per_class]
        return [
            (box.id, BoxedImage(self.read(number), np.array(box.box_xyxy, np.float32)))
            for number, box in (boxes[place] for place in order)
        ]


def total_loss(detector: Detector, batch: Batch, maps: MapCache) -> Tensor:
    """The sum of the detector's losses on a batch."""
    # The images come first: autocast may keep what it cast under no_grad, and their gradient would be lost.
    images = maps.of(batch["images"], batch["sizes"])
    supports = None
    if detector.settings.metric_head:
        supports = maps.by_size(
            batch["support_images"], batch["support_sizes"], gradient=detector.settings.support_gradient
        )
    return torch.stack(list(detector.losses(batch, images, supports).values())).sum()


def freeze(detector: nn.Module, names: Sequence[str]) -> None:
    """Leave the named parts as they are. Raises BlemishError for a part that the detector has not."""
    for part in named_parts(detector, names):
        part.requires_grad_(False)


def named_parts(detector: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The parts of those names. Raises BlemishError for one that the detector has not."""
    parts = dict(detector.named_children())
    for name in names:
        if name not in parts:
            raise BlemishError(
                f"setting frozen: the detector has no part '{name}'.{nearest_name(name, parts)} "
                f"It has {', '.join(parts)}."
            )
    return [parts[name] for name in names]
