"""Adding a class to a trained detector, from a few boxed examples and without training.

The detector stays as it is; the class gets a row, see `rows`. On the way it is measured how near the new
class lies to the others, and whether its own examples are found. Letters: K classes, R examples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from blemish.arrays import Boxes, Floats
from blemish.bundle.manifest import Manifest
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.methods.capabilities import (
    ALARMS,
    ClassSimilarity,
    Enrolment,
    Example,
    ExampleOutcome,
    Exported,
    Negative,
)
from blemish.methods.contract import Networks
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.class_bank.embedding import RegionEmbedder
from blemish.methods.tlsdd.class_bank.enrolled import ENROLLED, KnownClasses
from blemish.methods.tlsdd.class_bank.rows import ClassRows, folds_of
from blemish.methods.tlsdd.memory import image_shift_of
from blemish.methods.tlsdd.runtime.box_outcomes import box_outcomes, boxes_of, counted, outcome_sentence
from blemish.methods.tlsdd.runtime.inference import TlsddInference, inference_from
from blemish.methods.tlsdd.runtime.parts import Parts, open_head, open_parts
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.regions.boxes import box_iou

if TYPE_CHECKING:
    from torch import nn

FOUND_IOU = 0.5
SURE = 0.9  # below, two classes nearly coincide


def add_class(
    networks: Mapping[str, nn.Module] | Exported,
    manifest: Manifest,
    name: str,
    examples: Sequence[Example],
    negatives: Sequence[Negative] = (),
    *,
    tune: bool = False,
    alarms: float = ALARMS,
) -> Enrolment:
    """Add class `name` behind a bundle's others; see `capabilities.AddsClasses.enrol`.

    Raises BlemishError where the detector's own weights are bound to its classes.
    """
    refuse_fixed_classes(TlsddSettings.model_validate(manifest.settings), name)
    parts, bank, enrolled = open_parts(networks, manifest)
    known, head = KnownClasses(bank, enrolled), open_head(networks, manifest)
    addition = ClassAddition(
        parts, known, head, manifest, name, tuple(examples), tuple(negatives), tune=tune, alarms=alarms
    )
    return addition.run()


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
    """Adds a class, or examples to an added one, and measures what that changes, on its own examples, too.

    head: image head of the bundle, see `runtime.parts.open_head`
    """

    parts: Parts
    known: KnownClasses
    head: Networks
    manifest: Manifest
    name: str
    examples: tuple[Example, ...]
    negatives: tuple[Negative, ...] = ()
    tune: bool = False
    alarms: float = ALARMS

    def run(self) -> Enrolment:
        """Make the larger set of classes; returns it with similarities and the examples' outcomes."""
        classes = self.rows.classes_from(self.examples)
        folds = [(self.rows.classes_from(kept), left_out) for kept, left_out in folds_of(self.examples)]
        held_out = len(folds) > 1
        distances = np.concatenate([self.distances(*fold) for fold in folds])
        similarities = self.similarities(classes.whole, distances)
        outcomes = [outcome for fold in folds for outcome in self.outcomes(*fold)]
        counts = counted(Counter(outcome.end for outcome in outcomes))
        how = (
            "With each example's image left out in turn"
            if held_out
            else "On the only image with examples, which it was made from"
        )
        return Enrolment(
            networks=classes.changed_tensors(self.parts.settings),
            memory=self.memory(closed_form=classes.enrolled is not None),
            similarities=similarities,
            outcomes=tuple(outcomes),
            held_out=held_out,
            sentences=(
                *self.tuning_sentences(closed_form=classes.enrolled is not None),
                *self.shortfalls(closed_form=classes.enrolled is not None),
                *(line for negative in self.negatives for line in self.doubts(negative)),
                *nearness_sentences(self.name, similarities, len(self.examples), held_out=held_out),
                f"{how}, {outcome_sentence(self.name, counts)}",
            ),
            threshold=self.rows.way.threshold if classes.enrolled is not None else None,
        )

    def memory(self, *, closed_form: bool) -> dict[str, Any]:
        """Memory of the bundle with the class and the ids of its examples."""
        memory, ids = self.manifest.memory, [example.id for example in self.examples]
        earlier = memory.get("examples", {}).get(self.name, ())
        new = {} if self.extends else {"rare": [*memory.get("rare", ()), self.name]}
        if closed_form and not self.extends:
            new[ENROLLED] = [*memory.get(ENROLLED, ()), self.name]
        return {
            **memory,
            **new,
            "examples": {**memory.get("examples", {}), self.name: [*earlier, *ids]},
        }

    @property
    def extends(self) -> bool:
        """True where the bundle has the class already."""
        return self.name in self.manifest.class_names

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all classes."""
        own = () if self.extends else (self.name,)
        return (*self.manifest.class_names, *own)

    @property
    def number(self) -> int:
        """Number of the class among all."""
        return self.names.index(self.name)

    @cached_property
    def rows(self) -> ClassRows:
        """Rows of the class, from any of its examples."""
        return ClassRows(
            self.parts,
            self.known,
            number=self.number,
            num_earlier=len(self.manifest.memory["examples"][self.name]) if self.extends else 0,
            threshold=self.manifest.thresholds["score"],
            examples=self.examples,
            negatives=self.negatives,
            tune=self.tune,
            alarms=self.alarms,
        )

    def distances(self, classes: KnownClasses, examples: Sequence[Example]) -> Floats:
        """Squared distance of each example, as each class sees it, to that class's prototype, [R, K]."""
        bank = classes.whole
        embedder = RegionEmbedder(self.parts, bank)
        differences = [
            embedder.embed(example.pixels, np.array([example.box_xyxy], np.float32)).per_class
            - bank.prototypes
            for example in examples
        ]
        return np.square(np.concatenate(differences)).sum(-1)

    def similarities(self, bank: ClassBank, distances: Floats) -> tuple[ClassSimilarity, ...]:
        """Similarity of every other class that has a prototype, nearest first. distances: [R, K]"""
        own = self.number
        scale = self.parts.distance_scale(self.rows.features[self.examples[0].id].regions, self.known.bank)
        apart = np.square(bank.prototypes - bank.prototypes[own]).sum(axis=1).tolist()
        nearer = (distances < distances[:, own : own + 1]).sum(0)
        found = [
            ClassSimilarity(
                name, apart[number], 1 / (1 + math.exp(-scale * apart[number])), int(nearer[number])
            )
            for number, name in enumerate(self.names)
            if number != own and bool(bank.known[number])
        ]
        return tuple(sorted(found, key=lambda similarity: similarity.squared_distance))

    def outcomes(self, classes: KnownClasses, examples: Sequence[Example]) -> list[ExampleOutcome]:
        """Outcome of each example when its image is inspected with these classes, image by image."""
        inference, networks = self.inspection(classes, self.names)
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

    def tuning_sentences(self, *, closed_form: bool) -> list[str]:
        """Sentence on a class that was tuned, or might have been."""
        if not self.tune or not closed_form:
            return []
        if not self.rows.way.tuned:
            return [
                f"Tuning '{self.name}' on all regions of its examples' images found fewer left-out "
                "examples, so it is left out."
            ]
        return [
            f"'{self.name}' is tuned on all regions of its examples' images; the other classes stay as they "
            "are."
        ]

    def shortfalls(self, *, closed_form: bool) -> list[str]:
        """Sentences on what an older bundle does not allow."""
        if closed_form:
            return []
        lines = [
            f"'{self.name}' was added by its prototype alone: training kept no background for a row of its "
            "own, as an older version does. Trained again, the bundle finds added classes better."
        ]
        unused = f"The {len(self.negatives)} images given as negatives were not used, for the same reason."
        return [*lines, unused] if self.negatives else lines

    def doubts(self, negative: Negative) -> list[str]:
        """Sentence on an image given as good where the bundle finds a defect of another class."""
        if negative.boxes is not None:
            return []
        inference, networks = self.inspection(self.known, self.manifest.class_names)
        raw = inference.forward(negative.pixels, networks)
        found = inference.decide(raw, negative.pixels, networks, with_maps=False).defects
        return [
            f"warning: {negative.image} is given as good, but the bundle finds '{defect.label}' on it "
            f"({defect.confidence:.2f}). Take it out if that is right."
            for defect in [each for each in found if each.label != self.name][:1]
        ]

    def inspection(self, classes: KnownClasses, names: tuple[str, ...]) -> tuple[TlsddInference, Networks]:
        """Inference and networks that look for these classes. names: of all of them"""
        inference = inference_from(
            self.parts.settings,
            names,
            threshold=self.manifest.thresholds["score"],
            shifts=self.manifest.memory.get("class_shifts"),
            enrolled=0 if classes.enrolled is None else len(classes.enrolled),
            image_shift=image_shift_of(self.manifest),
        )
        detect = partial(self.parts.rows, bank=classes.bank, enrolled=classes.enrolled)
        return inference, {**self.head, "detector": detect}


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
