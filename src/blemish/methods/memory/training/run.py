"""Training of the memory: patches of good images, a head where images are marked, thresholds.

Reads the splits "train" and "val" and nothing else. Letters: M patches in memory, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from blemish.dataset.ignored import is_doubtful
from blemish.dataset.outlined import is_left_out
from blemish.dataset.samples import Dataset, Sample
from blemish.methods.common.samples import SampleReader
from blemish.methods.contract import Fitted, HeldOut, Network, Networks, SweptCurves, Trainer
from blemish.methods.memory.inference import (
    FEATURES,
    HEAD,
    PATCHES,
    REFERENCE,
    USUAL,
    MemoryInference,
    inference_from,
    patches_of,
    square,
)
from blemish.methods.memory.nearest import PatchMemory, highest
from blemish.methods.memory.network import (
    DefectHead,
    FeatureNetwork,
    PatchCounts,
    Patches,
    Reference,
    Usual,
)
from blemish.methods.memory.scale import in_unit_range, standard_of, standardised, unusual
from blemish.methods.memory.settings import MemorySettings
from blemish.methods.memory.state import KnownImage, MemoryState, Standard
from blemish.methods.memory.training.good_patches import (
    QUARTERS,
    GoodPatches,
    collect,
    quarters,
    set_whitening,
)
from blemish.methods.memory.training.head import HeadImages, head_stage
from blemish.methods.memory.training.regime import Regime, regime_of
from blemish.methods.memory.training.store import FeatureStore
from blemish.methods.memory.training.strangers import Highest, notes_on_strangers
from blemish.methods.memory.training.targets import targets
from blemish.methods.memory.training.usual import GoodDistances

FAR = 64  # patches that are kept of each validation image
UNKNOWN_STANDARD = Standard(mean=0.0, deviation=1.0)
MOST_HELD_OUT = 100  # images of the memory that thresholds are chosen on, evenly spread
JUDGED_QUARTERS = 1, 2  # of a single image, which the other two judge


def fit(dataset: Dataset, settings: MemorySettings, trainer: Trainer) -> Fitted:
    """Collect what is good, learn what is marked, choose thresholds.

    Raises BlemishError where no image is good.
    """
    regime = regime_of(dataset, settings)
    trainer.note(regime.sentence)
    return MemoryTraining(dataset, settings, trainer, regime).run()


@dataclass(frozen=True)
class FarPatches:
    """Highest patches of validation images. rows: [V, F, D]

    words: deviations by the head, [V, F]; [V, 0] without one; places: of the patches, row by row, [V, F]
    """

    rows: NDArray[np.float16]
    words: NDArray[np.float32]
    places: NDArray[np.int32]


@dataclass(frozen=True)
class MemoryTraining:
    """Trains once. regime: the images that the memory and the head learn from"""

    dataset: Dataset
    settings: MemorySettings
    trainer: Trainer
    regime: Regime

    def run(self) -> Fitted:
        set_whitening(self.network, self.regime.good, self.settings, self.trainer)
        good = collect(self.regime.good, self.store, self.settings)
        memory = PatchMemory(good.rows, self.settings.neighbours)
        own = self.judged_by_others(good, memory)
        farthest = [Highest.of(each) for each in own.maps]
        notes = (*self.regime.notes, *notes_on_strangers(self.regime.good, farthest))
        for note in notes:
            self.trainer.note(note)
        usual = own.usual()
        by_others = [
            float(unusual(each.ravel(), own.usual(without=number)).max())
            for number, each in enumerate(() if self.regime.held_out else own.maps)
        ]
        state = MemoryState(
            dimensions=self.dimensions,
            patches=len(good.rows),
            head=self.regime.learns_head,
            distance=self.standard(by_others, memory, usual),
        )
        head = self.trained_head(memory) if state.head else None
        network = None if head is None else self.trainer.networks({HEAD: head})[HEAD]
        if network is not None:
            place, image = self.head_standards(network)
            state = state.model_copy(update={"place": place, "image": image})
        modules = self.modules(good.rows, usual, self.none_far, head)
        validation, far = self.validation_patches(state, self.trainer.networks(modules))
        state = state.model_copy(update={"validation": validation, "far": far.rows.shape[1]})
        modules = self.modules(good.rows, usual, far, head)
        threshold, curves = self.threshold(state, by_others, modules)
        return Fitted(
            modules=modules,
            class_names=self.dataset.class_names,
            channels=3,
            thresholds={"value": threshold},
            tiling={},
            curves=curves,
            memory=state,
            notes=(self.regime.sentence, *notes),
            dataset=self.regime.dataset,
            held_out=tuple(self.held_out(good, own, head)),
        )

    # Features

    @cached_property
    def network(self) -> FeatureNetwork:
        torch.manual_seed(self.trainer.seed)
        network = FeatureNetwork(self.settings).to(memory_format=torch.channels_last)
        self.trainer.note(network.origin)
        return network

    @cached_property
    def dimensions(self) -> int:
        return min(self.settings.dimensions, sum(self.network.channels))

    @cached_property
    def store(self) -> FeatureStore:
        blank = MemoryState(dimensions=self.dimensions, patches=1, distance=UNKNOWN_STANDARD)
        networks = self.trainer.networks({FEATURES: self.network, **self.reference})
        return FeatureStore(self.inference(blank, 0.5), networks, self.trainer)

    @cached_property
    def reference(self) -> dict[str, nn.Module]:
        """Good image that others are moved onto; none where the settings move none."""
        if self.settings.align == "none" or self.settings.size is None:
            return {}
        image = square(self.trainer.read(self.regime.good[0], 3), self.settings.size)
        module = Reference(self.settings.size)
        module.picture.copy_(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None])
        return {REFERENCE: module}

    def inference(self, state: MemoryState, threshold: float) -> MemoryInference:
        return inference_from(
            self.settings,
            self.dataset.class_names,
            state=state,
            threshold=threshold,
        )

    # Memory

    def judged_by_others(self, good: GoodPatches, memory: PatchMemory) -> GoodDistances:
        """Distances of each image to the patches of the others; of a single image, of its quarters."""
        samples = self.regime.good
        if len(samples) == 1:
            features = self.store.of(samples[0])
            inside = quarters(features)
            rows = patches_of(features)
            maps = [
                memory.distances(rows[inside == number], without=good.of([number]))[None]
                for number in range(QUARTERS)
            ]
            return GoodDistances(maps, by_place=False)
        maps = [
            self.distances(sample, memory, without=good.of([number]))
            for number, sample in enumerate(self.trainer.track(samples, "good images by the others"))
        ]
        return GoodDistances(maps, by_place=self.settings.size is not None)

    def distances(
        self, sample: Sample, memory: PatchMemory, *, without: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Distance of each patch of a sample to the memory, [h, w]. without: rows that are left out"""
        features = self.store.of(sample)
        return memory.distances(patches_of(features), without=without).reshape(features.shape[1:])

    def standard(
        self, by_others: Sequence[float], memory: PatchMemory, usual: NDArray[np.float32]
    ) -> Standard:
        """Standard of the highest deviations: of good validation images, or of images by the others."""
        highest = [
            float(unusual(self.distances(each, memory).ravel(), usual).max()) for each in self.regime.held_out
        ]
        return standard_of(np.array(highest or by_others))

    def modules(
        self, rows: NDArray[np.float32], usual: NDArray[np.float32], far: FarPatches, head: DefectHead | None
    ) -> dict[str, nn.Module]:
        """Networks of a bundle. rows: good patches, [M, D]; usual: see `Usual`; far: of validation images"""
        images, count = far.rows.shape[:2]
        counts = PatchCounts(len(rows), images=images, far=count, far_words=far.words.shape[1])
        patches = Patches(counts, self.dimensions)
        patches.good.copy_(torch.from_numpy(rows))
        patches.far.copy_(torch.from_numpy(far.rows))
        patches.far_words.copy_(torch.from_numpy(far.words))
        patches.far_places.copy_(torch.from_numpy(far.places))
        kept = Usual(self.store.inference.places)
        kept.distance.copy_(torch.from_numpy(usual))  # of a single image, all places alike
        learned = {} if head is None else {HEAD: head}
        return {FEATURES: self.network, PATCHES: patches, USUAL: kept, **learned, **self.reference}

    def held_out(self, good: GoodPatches, own: GoodDistances, head: DefectHead | None) -> Iterator[HeldOut]:
        """Good images, all of which are in the memory, each with a memory without it."""
        if self.regime.held_out:
            return
        good_images = self.regime.good
        alone = len(good_images) == 1
        for number in range(0, len(good_images), -(-len(good_images) // MOST_HELD_OUT)):
            left_out = JUDGED_QUARTERS if alone else (number,)
            rows, usual = good.without(left_out), own.usual(without=None if alone else number)
            yield HeldOut(good_images[number], self.modules(rows, usual, self.none_far, head))

    # Head

    def trained_head(self, memory: PatchMemory) -> DefectHead:
        """Head that learned from the marked images."""
        torch.manual_seed(self.trainer.seed)
        head = DefectHead(self.dimensions, self.settings.head_width)
        learned = (*self.regime.good, *self.regime.defective)
        marks = {}
        for sample in self.trainer.track(learned, "marked places"):
            pixels = self.trainer.read(sample, 3)
            size = (pixels.shape[0], pixels.shape[1])
            marks[sample.id] = targets(sample, size, self.distances(sample, memory), self.settings)
        images = HeadImages(self.settings, self.store, self.regime.good, self.regime.defective, marks)
        self.trainer.optimise(head_stage(head, images))
        return head

    def head_standards(self, network: Network) -> tuple[Standard, Standard]:
        """Standards of the head's log odds of places and of images, of good images.

        Of those that it did not learn from, where there are any.
        """
        outputs = [
            network(self.store.of(sample)[None])[0] for sample in self.regime.held_out or self.regime.good
        ]
        return (
            standard_of(np.array([output[0].max() for output in outputs], np.float64)),
            standard_of(np.array([output[1].max() for output in outputs], np.float64)),
        )

    # Validation images

    @property
    def none_far(self) -> FarPatches:
        rows = np.zeros((0, 0, self.dimensions), np.float16)
        return FarPatches(rows, np.zeros((0, 0), np.float32), np.zeros((0, 0), np.int32))

    def validation_patches(
        self, state: MemoryState, networks: Networks
    ) -> tuple[tuple[KnownImage, ...], FarPatches]:
        """Validation images and their highest patches, for reports of later corrections."""
        inference = self.inference(state, threshold=0.5)
        known, rows, words, places = [], [], [], []
        for sample in self.regime.dataset.split("val"):
            if is_doubtful(sample):
                continue
            features = self.store.of(sample)
            head = inference.head_word(features, networks)
            chosen = highest(inference.judged(features, networks).places, FAR)
            rows.append(patches_of(features)[chosen].astype(np.float16))
            words.append(np.zeros(0, np.float32) if head is None else head.places[chosen])
            places.append(chosen.astype(np.int32))
            image = None if head is None else head.image
            known.append(KnownImage(id=sample.id, defective=sample.is_defective, head=image))
        if not known:
            return (), self.none_far
        count = min(map(len, rows))
        return tuple(known), FarPatches(
            np.stack([each[:count] for each in rows]),
            np.stack([each[:count] for each in words]),
            np.stack([each[:count] for each in places]),
        )

    def threshold(
        self, state: MemoryState, by_others: Sequence[float], modules: dict[str, nn.Module]
    ) -> tuple[float, SweptCurves]:
        """Value of the map from which a pixel is defective, and the curve that it was chosen by.

        By F1 of pixels on outlined validation images; else above all good images that are not in the memory.
        """
        inference = self.inference(state, threshold=0.5)
        networks = self.trainer.networks(modules)
        validation = self.regime.dataset.split("val").where(lambda sample: not is_left_out(sample))
        if any(sample.is_defective for sample in validation):
            reader = SampleReader(self.trainer, self.dataset.class_names, channels=3)
            sweep = self.trainer.sweep(
                reader.maps_and_masks(
                    validation, lambda pixels: inference.score_map(pixels, networks), title="thresholds"
                ),
                max_threshold=1.0,
                criterion="pixel-f1",
            )
            return self.settings.threshold or sweep.best, SweptCurves.of(sweep)
        if self.settings.threshold is not None:
            return self.settings.threshold, SweptCurves()
        good = [
            inference.judged(self.store.of(sample), networks).image for sample in self.regime.held_out
        ] or [float(in_unit_range(standardised(each, state.distance))) for each in by_others]
        return float(np.nextafter(np.float32(max(good)), np.float32(1))), SweptCurves()
