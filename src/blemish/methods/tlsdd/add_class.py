"""One class more for a trained detector, from a few boxed examples and without training.

Source: TL-SDD eqs. 1 and 2: a class is a vector of weights and a prototype, both means over its examples, so
that the class bank grows by a row while the detector stays as it is. What that does to the other classes, and
whether the examples themselves are found, is looked at on the way. Letters: K older classes, R examples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.manifest import Manifest
from blemish.dataset.boxes import Boxed
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.methods.capabilities import Enrolment, Example, Exported, Nearness, Sighting
from blemish.methods.tlsdd.classes import Bank
from blemish.methods.tlsdd.doctor import counted, ends_of, went_sentence
from blemish.methods.tlsdd.embedding import RegionEmbedder
from blemish.methods.tlsdd.enrol import BoxedImage, Seen, entry_of, seen
from blemish.methods.tlsdd.inference import TlsddInference, inference_from
from blemish.methods.tlsdd.parts import Parts, opened
from blemish.methods.tlsdd.settings import Settings
from blemish.regions.boxes import box_iou

if TYPE_CHECKING:
    from torch import nn

FOUND_IOU = 0.5
MOST_FOLDS = 10  # groups of images that are left out in turn
SURE = 0.9  # below, two classes nearly coincide


def refuse_fixed_classes(settings: Settings, name: str) -> None:
    """Raises BlemishError where the detector's own weights are bound to its classes."""
    if not settings.metric_head:
        reason = f"variant {settings.variant} has a row of weights for each class"
    elif settings.box_regression == "specific":
        reason = "box_regression is specific to each class"
    else:
        return
    raise BlemishError(
        f"The bundle must be able to take '{name}' without training. Received: one that is not, as {reason}. "
        "Add --fine-tune with --check DATA, or use `blemish train tlsdd --from`."
    )


def tuning_settings(settings: Settings, name: str, examples: int) -> dict[str, Any]:
    """Settings of the second phase with `name` as its rare class, all of its examples among the drawn."""
    if not settings.two_phase:
        raise BlemishError(
            f"A short training needs a bundle trained in two phases. Received: variant {settings.variant}. "
            f"Train it again on data with '{name}'."
        )
    shots = max(settings.shots, examples)
    chosen = {"common": [], "rare": [name], "shots": shots, "draw_seed": None, "draw_file": None}
    return {**settings.model_dump(mode="json"), **chosen}


def enrolled(
    networks: Mapping[str, nn.Module] | Exported, manifest: Manifest, name: str, examples: Sequence[Example]
) -> Enrolment:
    """The networks with class `name` behind the others. See `contract.EnrolsClasses`."""
    refuse_fixed_classes(Settings.model_validate(manifest.settings), name)
    parts, bank = opened(networks, manifest)
    return Enrolling(parts, bank, manifest, name, tuple(examples)).run()


@dataclass(frozen=True)
class Enrolling:
    """One class on its way into the bank."""

    parts: Parts
    bank: Bank
    manifest: Manifest
    name: str
    examples: tuple[Example, ...]

    def run(self) -> Enrolment:
        bank = self.bank_of(self.examples)
        looks = [(self.bank_of(kept), out) for kept, out in self.folds()]
        held_out = len(looks) > 1
        distances = np.concatenate([self.distances(without, out) for without, out in looks])
        nearness = self.nearness(bank, distances)
        sightings = [one for without, out in looks for one in self.sightings(without, out)]
        return Enrolment(
            networks={"bank": bank.tensors()},
            memory=self.memory(),
            nearness=nearness,
            sightings=tuple(sightings),
            held_out=held_out,
            sentences=(
                *nearness_sentences(self.name, nearness, len(self.examples), held_out=held_out),
                sighting_sentence(self.name, sightings, held_out=held_out),
            ),
        )

    def memory(self) -> dict[str, Any]:
        """The parent's, with the new class among the rare and its examples."""
        memory = self.manifest.memory
        ids = [example.id for example in self.examples]
        return {
            **memory,
            "rare": [*memory.get("rare", ()), self.name],
            "examples": {**memory.get("examples", {}), self.name: ids},
        }

    def bank_of(self, examples: Sequence[Example]) -> Bank:
        """The bank with the new class made of these examples."""
        entry = entry_of(self.parts, [self.seen_examples[one.id] for one in examples])
        return self.bank.with_class(entry.vector, entry.prototype)

    @cached_property
    def seen_examples(self) -> dict[str, Seen]:
        """What each example gives its class, by id: the same in every fold."""
        generator = np.random.default_rng(len(self.manifest.class_names))
        return {
            one.id: seen(self.parts, BoxedImage(one.pixels, np.array(one.box_xyxy, np.float32)), generator)
            for one in self.examples
        }

    def folds(self) -> list[tuple[list[Example], list[Example]]]:
        """(examples kept, examples left out) of each fold. A single image is both."""
        images = list(dict.fromkeys(example.image for example in self.examples))
        if len(images) == 1:
            return [(list(self.examples), list(self.examples))]
        groups = [images[first::MOST_FOLDS] for first in range(min(MOST_FOLDS, len(images)))]
        return [
            (
                [example for example in self.examples if example.image not in group],
                [example for example in self.examples if example.image in group],
            )
            for group in groups
        ]

    def distances(self, bank: Bank, examples: Sequence[Example]) -> NDArray[np.float32]:
        """Squared distance of each example, as each class sees it, to that class's prototype, [R, K + 1]."""
        embedder = RegionEmbedder(self.parts, bank)
        rows = [
            embedder.embed(one.pixels, np.array([one.box_xyxy], np.float32)).per_class - embedder.prototypes
            for one in examples
        ]
        squared: NDArray[np.float32] = np.square(np.concatenate(rows)).sum(-1)
        return squared

    def nearness(self, bank: Bank, distances: NDArray[np.float32]) -> tuple[Nearness, ...]:
        """Of every older class that has a prototype, the nearest first."""
        scale = self.parts.distance_scale(self.seen_examples[self.examples[0].id].regions, bank)
        apart = np.square(bank.prototypes[:-1] - bank.prototypes[-1]).sum(axis=1).tolist()
        nearer = (distances[:, :-1] < distances[:, -1:]).sum(0)
        found = [
            Nearness(name, apart[number], 1 / (1 + math.exp(-scale * apart[number])), int(nearer[number]))
            for number, name in enumerate(self.manifest.class_names)
            if bool(bank.known[number])
        ]
        return tuple(sorted(found, key=lambda one: one.squared_distance))

    def sightings(self, bank: Bank, examples: Sequence[Example]) -> list[Sighting]:
        """What the detector with this bank makes of the examples."""
        images: dict[str, list[Example]] = {}
        for example in examples:
            images.setdefault(example.image, []).append(example)
        return [one for group in images.values() for one in self.seen(bank, group)]

    def seen(self, bank: Bank, examples: Sequence[Example]) -> list[Sighting]:
        """The same, of the examples of one image."""
        pixels, inference = examples[0].pixels, self.inference
        network = {"detector": lambda inputs: self.parts.rows(inputs, bank)}
        raw = inference.forward(pixels, network)
        found = inference.decide(raw, pixels, network, with_maps=False)
        truth = [Boxed(self.name, example.box_xyxy, example.id) for example in examples]
        ends = ends_of(truth, found.defects, FOUND_IOU)
        own = [one for one in found.candidates if one.label == self.name]
        return [Sighting(box.id, end, surest_at(box, own)) for box, end in zip(truth, ends, strict=True)]

    @cached_property
    def inference(self) -> TlsddInference:
        return inference_from(
            self.parts.settings,
            (*self.manifest.class_names, self.name),
            threshold=self.manifest.thresholds["score"],
        )


def surest_at(box: Boxed, candidates: Sequence[Defect]) -> float | None:
    """The highest confidence of the candidates that meet the box."""
    places = np.array([one.box_xyxy for one in candidates], np.float64).reshape(-1, 4)
    meets = box_iou(np.array([box.box_xyxy]), places)[0] >= FOUND_IOU
    return max((one.confidence for one, yes in zip(candidates, meets, strict=True) if yes), default=None)


def nearness_sentences(
    name: str, nearness: Sequence[Nearness], examples: int, *, held_out: bool
) -> list[str]:
    """A warning for each class that nearly coincides with the new one, or how far the nearest is."""
    if not nearness:
        return []
    close = [one for one in nearness if one.sureness < SURE]
    lines = [
        f"'{name}' and '{one.label}' nearly coincide (squared distance {one.squared_distance:.2g}): a region "
        f"like the new examples is called '{name}' with only {one.sureness:.0%} against '{one.label}'."
        for one in close
    ]
    if close:
        lines.append(
            "Expect them to be confused: give other examples, use --fine-tune, or let such classes be one."
        )
    else:
        first = nearness[0]
        lines.append(
            f"'{name}' lies apart from every older class; the nearest is '{first.label}' "
            f"(squared distance {first.squared_distance:.2g})."
        )
    how = "each compared without itself" if held_out else "compared with themselves"
    return lines + [
        f"{one.nearer} of {examples} examples of '{name}', {how}, are more like '{one.label}'."
        for one in nearness
        if one.nearer
    ]


def sighting_sentence(name: str, sightings: Sequence[Sighting], *, held_out: bool) -> str:
    counts = counted(Counter(one.end for one in sightings))
    how = (
        "With each example's image left out in turn"
        if held_out
        else "On the only image with examples, which it was made from"
    )
    return f"{how}, {went_sentence(name, counts)}"
