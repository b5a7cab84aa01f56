"""Adding a class to a trained detector, from a few boxed examples and without training.

Source: TL-SDD eqs. 1 and 2: a class is a vector of weights and a prototype, both means over its examples, so
that the class bank grows by a row while the detector stays as it is. On the way it is measured how near the
new class lies to the others, and whether its own examples are found. Letters: K older classes, R examples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from blemish.arrays import Boxes, Floats
from blemish.bundle.manifest import Manifest
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.methods.capabilities import ClassSimilarity, Enrolment, Example, ExampleOutcome, Exported
from blemish.methods.contract import Networks
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.class_bank.embedding import RegionEmbedder
from blemish.methods.tlsdd.class_bank.entries import ExampleFeatures, class_entry, extract
from blemish.methods.tlsdd.memory import image_shift_of
from blemish.methods.tlsdd.runtime.box_outcomes import box_outcomes, boxes_of, counted, outcome_sentence
from blemish.methods.tlsdd.runtime.inference import inference_from
from blemish.methods.tlsdd.runtime.parts import Parts, open_head, open_parts
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.regions.boxes import box_iou

if TYPE_CHECKING:
    from torch import nn

FOUND_IOU = 0.5
MAX_FOLDS = 10  # groups of images that are left out in turn
SURE = 0.9  # below, two classes nearly coincide


def add_class(
    networks: Mapping[str, nn.Module] | Exported, manifest: Manifest, name: str, examples: Sequence[Example]
) -> Enrolment:
    """Add class `name` behind a bundle's others; see `capabilities.AddsClasses.enrol`.

    Raises BlemishError where the detector's own weights are bound to its classes.
    """
    refuse_fixed_classes(TlsddSettings.model_validate(manifest.settings), name)
    parts, bank = open_parts(networks, manifest)
    head = open_head(networks, manifest)
    return ClassAddition(parts, bank, head, manifest, name, tuple(examples)).run()


def refuse_fixed_classes(settings: TlsddSettings, name: str) -> None:
    """Raise BlemishError where the detector's own weights are bound to its classes."""
    if not settings.metric_head:
        reason = f"variant {settings.variant} has a row of weights for each class"
    elif settings.box_regression == "specific":
        reason = "box_regression is specific to each class"
    else:
        return
    raise BlemishError(
        f"This bundle cannot take '{name}' without training: {reason}. "
        "Add --fine-tune with --check DATA, or use `blemish train tlsdd --from`."
    )


def tuning_settings(settings: TlsddSettings, name: str, examples: int) -> dict[str, Any]:
    """Settings of the second phase with `name` as its rare class, which learns from all of its examples.

    Raises BlemishError for a bundle that was not trained in two phases.
    """
    if not settings.two_phase:
        raise BlemishError(
            f"A short training needs a bundle trained in two phases. Received: variant {settings.variant}. "
            f"Train it again on data with '{name}'."
        )
    shots = max(settings.shots, examples)
    chosen = {
        "common": [], "rare": [name], "shots": shots, "fine_tune_boxes": None, "draw_seed": None,
        "draw_file": None,
    }  # fmt: skip
    return {**settings.model_dump(mode="json"), **chosen}


@dataclass(frozen=True)
class ClassAddition:
    """Adds a class to the bank, and measures what that changes, on its own examples, too.

    head: image head of the bundle, see `runtime.parts.open_head`
    """

    parts: Parts
    bank: ClassBank
    head: Networks
    manifest: Manifest
    name: str
    examples: tuple[Example, ...]

    def run(self) -> Enrolment:
        """Make the larger bank; returns it with similarities to older classes and the examples' outcomes."""
        bank = self.bank_from(self.examples)
        folds = [(self.bank_from(kept), left_out) for kept, left_out in self.folds()]
        held_out = len(folds) > 1
        similarities = self.similarities(bank, np.concatenate([self.distances(*fold) for fold in folds]))
        outcomes = [outcome for fold in folds for outcome in self.outcomes(*fold)]
        counts = counted(Counter(outcome.end for outcome in outcomes))
        how = (
            "With each example's image left out in turn"
            if held_out
            else "On the only image with examples, which it was made from"
        )
        memory = self.manifest.memory
        ids = [example.id for example in self.examples]
        return Enrolment(
            networks={"bank": bank.tensors()},
            memory={
                **memory,
                "rare": [*memory.get("rare", ()), self.name],
                "examples": {**memory.get("examples", {}), self.name: ids},
            },
            similarities=similarities,
            outcomes=tuple(outcomes),
            held_out=held_out,
            sentences=(
                *nearness_sentences(self.name, similarities, len(self.examples), held_out=held_out),
                f"{how}, {outcome_sentence(self.name, counts)}",
            ),
        )

    def bank_from(self, examples: Sequence[Example]) -> ClassBank:
        """Make the bank with the new class from these examples."""
        return self.bank.with_class(
            class_entry(self.parts, [self.features[example.id] for example in examples])
        )

    @cached_property
    def features(self) -> dict[str, ExampleFeatures]:
        """Features of each example by its id, extracted once for all folds."""
        generator = np.random.default_rng(len(self.manifest.class_names))
        return {example.id: extract(self.parts, example, generator) for example in self.examples}

    def folds(self) -> list[tuple[list[Example], list[Example]]]:
        """Examples kept and examples left out, for each fold. The examples of a single image are both."""
        images = list(dict.fromkeys(example.image for example in self.examples))
        if len(images) == 1:
            return [(list(self.examples), list(self.examples))]
        groups = [images[first::MAX_FOLDS] for first in range(min(MAX_FOLDS, len(images)))]
        return [
            (
                [example for example in self.examples if example.image not in group],
                [example for example in self.examples if example.image in group],
            )
            for group in groups
        ]

    def distances(self, bank: ClassBank, examples: Sequence[Example]) -> Floats:
        """Squared distance of each example, as each class sees it, to that class's prototype, [R, K + 1]."""
        embedder = RegionEmbedder(self.parts, bank)
        differences = [
            embedder.embed(example.pixels, np.array([example.box_xyxy], np.float32)).per_class
            - bank.prototypes
            for example in examples
        ]
        return np.square(np.concatenate(differences)).sum(-1)

    def similarities(self, bank: ClassBank, distances: Floats) -> tuple[ClassSimilarity, ...]:
        """Similarity of every older class that has a prototype, nearest first. distances: [R, K + 1]"""
        scale = self.parts.distance_scale(self.features[self.examples[0].id].regions, bank)
        apart = np.square(bank.prototypes[:-1] - bank.prototypes[-1]).sum(axis=1).tolist()
        nearer = (distances[:, :-1] < distances[:, -1:]).sum(0)
        found = [
            ClassSimilarity(
                name, apart[number], 1 / (1 + math.exp(-scale * apart[number])), int(nearer[number])
            )
            for number, name in enumerate(self.manifest.class_names)
            if bool(bank.known[number])
        ]
        return tuple(sorted(found, key=lambda similarity: similarity.squared_distance))

    def outcomes(self, bank: ClassBank, examples: Sequence[Example]) -> list[ExampleOutcome]:
        """Outcome of each example when its image is inspected with this bank, image by image."""
        names = (*self.manifest.class_names, self.name)
        inference = inference_from(
            self.parts.settings,
            names,
            threshold=self.manifest.thresholds["score"],
            shifts=self.manifest.memory.get("class_shifts"),
            image_shift=image_shift_of(self.manifest),
        )
        networks = {**self.head, "detector": lambda inputs: self.parts.rows(inputs, bank)}
        images: dict[str, list[Example]] = {}
        for example in examples:
            images.setdefault(example.image, []).append(example)
        outcomes = []
        for group in images.values():
            pixels, boxes = group[0].pixels, np.array([example.box_xyxy for example in group], np.float64)
            raw = inference.forward(pixels, networks)
            found = inference.decide(raw, pixels, networks, with_maps=False)
            own = [candidate for candidate in found.candidates if candidate.label == self.name]
            ends = box_outcomes([self.name] * len(group), boxes, found.defects, FOUND_IOU)
            outcomes += [
                ExampleOutcome(example.id, end, best_confidence_at(box, own))
                for example, end, box in zip(group, ends, boxes, strict=True)
            ]
        return outcomes


def best_confidence_at(box: Boxes, candidates: Sequence[Defect]) -> float | None:
    """Highest confidence of the candidates that meet a box [4]; None where none does."""
    meets = box_iou(box[None], boxes_of(candidates))[0] >= FOUND_IOU
    return max((each.confidence for each, yes in zip(candidates, meets, strict=True) if yes), default=None)


def nearness_sentences(
    name: str, similarities: Sequence[ClassSimilarity], examples: int, *, held_out: bool
) -> list[str]:
    """Sentences on classes that nearly coincide with the new one, or on how far away the nearest is."""
    if not similarities:
        return []
    close = [older for older in similarities if older.confidence < SURE]
    lines = [
        f"'{name}' and '{older.label}' nearly coincide (squared distance {older.squared_distance:.2g}): "
        f"a region like the new examples is called '{name}' with only {older.confidence:.0%} against "
        f"'{older.label}'."
        for older in close
    ]
    if close:
        lines.append(
            "Expect them to be confused. Give other examples, use --fine-tune, or merge such classes."
        )
    else:
        first = similarities[0]
        lines.append(
            f"'{name}' lies apart from every older class; the nearest is '{first.label}' "
            f"(squared distance {first.squared_distance:.2g})."
        )
    how = "each compared without itself" if held_out else "compared with themselves"
    return lines + [
        f"{older.nearer} of {examples} examples of '{name}', {how}, "
        f"{'is' if older.nearer == 1 else 'are'} more like "
        f"'{older.label}'."
        for older in similarities
        if older.nearer
    ]
