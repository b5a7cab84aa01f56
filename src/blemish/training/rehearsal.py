"""Rehearsal of a training: the method's own training on some of the images, a few steps of each stage.

What it takes is measured, and carried over to all images and steps. Nothing of it is kept. Computing what a
cache then holds is told apart from the steps, see `cache_costs`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypeVar

import torch
from torch import Tensor

from blemish.arrays import Pixels
from blemish.dataset.samples import Dataset, Sample
from blemish.methods.contract import CacheUse, Stage, ValidationResult
from blemish.nn.optimisation import set_learning_rate
from blemish.progress import Reporter
from blemish.training.cache_costs import CacheCost, DrawnKind, RehearsedUse, cost_on_all_images
from blemish.training.clock import Pace
from blemish.training.early_stopping import EarlyStopper
from blemish.training.request import Request
from blemish.training.time_plan import Part, TimePlan
from blemish.training.trainer import RunTrainer, training_title

Item = TypeVar("Item")
Kind = tuple[object, ...]  # of images: product, split, whether defective, labels
Work = Callable[[Request, Dataset, RunTrainer], object]  # a training, to the bundle
IMAGES_OF_A_KIND = {"train": 6, "val": 2}  # at most; a rare class often has as many boxes
WARM_UP, MOST_STEPS, ENOUGH_SECONDS = 1, 8, 2.0  # of a stage


class RehearsalReporter(Reporter):
    """Silent reporter that times every loop over images.

    dataset: the whole; some: those of its images that are rehearsed with
    """

    def __init__(self, dataset: Dataset, some: Dataset) -> None:
        super().__init__(quiet=True)
        self.ratios = {split: dataset.splits[split] / max(1, some.splits[split]) for split in some.splits}
        learned = dataset.where(lambda sample: sample.split in IMAGES_OF_A_KIND)
        self.images, self.rehearsed = (Counter(map(kind_of, each)) for each in (learned, some))
        self.all_ratio = len(learned) / max(1, len(some))
        self.parts: list[Part] = []
        self.seconds = 0.0  # of all loops as they were
        self.reads: Counter[Kind] = Counter()  # images that the present stage has read
        self.feature_bytes = 0  # that all images add to those cached by a stage

    def line(self, message: str) -> None:
        """Keep silent: the training itself will say it."""

    def track(
        self,
        items: Iterable[Item],
        title: str,
        *,
        total: int | Callable[[], int] | None = None,
        done: int = 0,
    ) -> Iterator[Item]:
        """Iterate over the items, and note how long as many as the whole has would take."""
        began, ratio = perf_counter(), 1.0
        for item in items:
            ratio = self.ratio(item)
            yield item
        seconds = perf_counter() - began
        self.seconds += seconds
        self.parts.append(Part(title=title, seconds=seconds * ratio))

    def ratio(self, item: object) -> float:
        """Number of items that the whole has for each one here: of images by their split, of numbers of
        training images; anything else, such as classes, is all there.
        """
        if isinstance(item, Sample):
            return self.ratios.get(item.split or "", 1.0)
        return self.ratios.get("train", 1.0) if isinstance(item, int) else 1.0


@dataclass(frozen=True)
class MeasuredSteps:
    """Steps of a stage as they were. seconds: of one; batches: that were made, one ahead of the steps

    images, features: use of the two caches, of decoded images and of the stage
    """

    seconds: float
    batches: int
    images: RehearsedUse
    features: RehearsedUse


class RehearsalTrainer(RunTrainer):
    """Trainer that takes a few steps of each stage and notes how long all of them would take."""

    reporter: RehearsalReporter

    def optimise(self, stage: Stage) -> tuple[ValidationResult, ...]:
        """Take a few steps in place; with early stopping the network is validated once."""
        loops, spent, began = len(self.reporter.parts), self.reporter.seconds, perf_counter()
        stopper = EarlyStopper.of(stage)
        steps = self.measured_steps(stage, stopper)
        images, features = (self.cost(use, steps.batches, stage) for use in (steps.images, steps.features))
        each = steps.seconds + images.seconds_per_step + features.seconds_per_step
        if stage.early_stopping is not None:
            last = perf_counter()
            stopper.validate(stage.network, 1)
            validation = (perf_counter() - last) * self.reporter.ratios.get("val", 1.0)
            each += validation / stage.early_stopping.every
        more = features.num_bytes - steps.features.end.num_bytes
        self.reporter.feature_bytes = max(self.reporter.feature_bytes, more)
        del self.reporter.parts[loops:]
        self.reporter.seconds = spent + perf_counter() - began
        part = Part(
            title=training_title(stage.name),
            seconds=0,
            stage=stage.name,
            steps=stage.steps,
            full_steps=stage.steps,
            fillings=(*images.fillings, *features.fillings),
        )
        seconds = each * stage.steps + part.filling_seconds(stage.steps)
        self.reporter.parts.append(part.model_copy(update={"seconds": seconds}))
        return stopper.end(stage.network)

    def measured_steps(self, stage: Stage, stopper: EarlyStopper) -> MeasuredSteps:
        """Take the first steps of a stage and measure those behind the first."""
        network, optimiser, accelerator = self.prepared(stage)
        pace = Pace(min(stage.steps, WARM_UP + MOST_STEPS))
        features = stage.cache or CacheUse(max_bytes=0)
        caches = self.cache.use, features
        before = start = [replace(use) for use in caches]
        batches = 0

        def batch_of(step: int, rank: int) -> Mapping[str, Tensor]:
            nonlocal batches
            batches += 1
            return stage.batch(step, rank)

        self.reporter.reads.clear()
        taken, seconds, since = 0, 0.0, perf_counter()
        counted = replace(stage, batch=batch_of)
        for step, position, batch in self.batches(counted, pace, stopper, accelerator.process_index):
            set_learning_rate(optimiser, stage.learning_rate(position))
            self.advance(stage, step, batch, network, optimiser, accelerator)
            stopper.update(stage.network, step)
            if step < WARM_UP and not pace.is_last:
                since, start = perf_counter(), [replace(use) for use in caches]
                continue
            taken, seconds = taken + 1, perf_counter() - since
            if taken > 1 and seconds > ENOUGH_SECONDS:
                break
        if features.views is not None:  # else what they computed counts as part of the steps
            seconds -= features.seconds - start[1].seconds
        taken = max(1, taken)
        of_images, of_features = (
            RehearsedUse(first, second, replace(end), taken)
            for first, second, end in zip(before, start, caches, strict=True)
        )
        return MeasuredSteps(max(0.0, seconds) / taken, batches, of_images, of_features)

    def cost(self, use: RehearsedUse, batches: int, stage: Stage) -> CacheCost:
        """Cost of a cache in the stage on all images."""
        kinds = [
            DrawnKind(self.reporter.rehearsed[kind], self.reporter.images[kind], number / max(1, batches))
            for kind, number in self.reporter.reads.items()
        ]
        return cost_on_all_images(use, kinds, ratio=self.reporter.all_ratio, full_steps=stage.steps)

    def read(self, sample: Sample, channels: int | None) -> Pixels:
        """Decoded pixels of a sample; its kind is counted."""
        self.reporter.reads[kind_of(sample)] += 1
        return super().read(sample, channels)


def rehearse(request: Request, dataset: Dataset, work: Work) -> TimePlan:
    """Time and memory of the requested training, from a short one on some of the dataset's images.

    Raises BlemishError where the training does, which may be for want of the images that are left out here.
    """
    some = some_of_each(dataset)
    reporter = RehearsalReporter(dataset, some)
    start = request.initial_bundle
    settings = request.method.rehearsed_settings(dataset, request.settings, start)
    began = perf_counter()
    with TemporaryDirectory(prefix="blemish-") as folder:
        trainer = RehearsalTrainer(
            Path(folder),
            settings,
            seed=request.seed,
            reporter=reporter,
            initial_bundle=start,
        )
        try:
            work(replace(request, run=trainer.run, settings=settings), some, trainer)
        finally:
            trainer.log.close()
    cached = trainer.cache.use
    all_images = min(cached.max_bytes, int(cached.num_bytes * reporter.all_ratio))
    return TimePlan(
        parts=tuple(reporter.parts),
        rest=max(0.0, perf_counter() - began - reporter.seconds),
        memory=peak_memory(trainer.device) + all_images - cached.num_bytes + reporter.feature_bytes,
    )


def some_of_each(dataset: Dataset) -> Dataset:
    """A few images of each kind."""
    kept: Counter[Kind] = Counter()
    ids = set()
    for sample in dataset:
        kind = kind_of(sample)
        if kept[kind] < IMAGES_OF_A_KIND.get(sample.split or "", 0):
            kept[kind] += 1
            ids.add(sample.id)
    return dataset.where(lambda sample: sample.id in ids)


def kind_of(sample: Sample) -> Kind:
    """Product, split and set of labels of an image."""
    labels = frozenset(annotation.label for annotation in sample.annotations)
    return sample.product, sample.split, sample.is_defective, labels


def peak_memory(device: str) -> int:
    """Greatest number of bytes that this process has used, on a GPU that of its tensors; 0 if unknown."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
