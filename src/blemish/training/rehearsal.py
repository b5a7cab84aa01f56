"""Rehearsal of a training: the method's own training on some of the images, a few steps of each stage.

What it takes is measured, and carried over to all images and steps. Nothing of it is kept.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypeVar

import torch

from blemish.dataset.samples import Dataset, Sample
from blemish.methods.contract import Stage, ValidationResult
from blemish.nn.optimisation import set_learning_rate
from blemish.progress import Reporter
from blemish.training.cache import LIMIT_BYTES
from blemish.training.clock import Pace
from blemish.training.early_stopping import EarlyStopper
from blemish.training.request import Request
from blemish.training.time_plan import Part, TimePlan
from blemish.training.trainer import RunTrainer, training_title

Item = TypeVar("Item")
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
        self.parts: list[Part] = []
        self.seconds = 0.0  # of all loops as they were

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


class RehearsalTrainer(RunTrainer):
    """Trainer that takes a few steps of each stage and notes how long all of them would take."""

    reporter: RehearsalReporter

    def optimise(self, stage: Stage) -> tuple[ValidationResult, ...]:
        """Take a few steps in place; with early stopping the network is validated once."""
        network, optimiser, accelerator = self.prepared(stage)
        stopper = EarlyStopper.of(stage)
        loops, spent = len(self.reporter.parts), self.reporter.seconds
        pace = Pace(min(stage.steps, WARM_UP + MOST_STEPS))
        taken, seconds = 0, 0.0
        began = last = perf_counter()
        for step, position, batch in self.batches(stage, pace, stopper, accelerator.process_index):
            set_learning_rate(optimiser, stage.learning_rate(position))
            self.advance(stage, step, batch, network, optimiser, accelerator)
            stopper.update(stage.network, step)
            if step >= WARM_UP or pace.is_last:
                taken, seconds = taken + 1, seconds + perf_counter() - last
            last = perf_counter()
            if taken > 1 and seconds > ENOUGH_SECONDS:
                break
        each = seconds / max(1, taken)
        if stage.early_stopping is not None:
            stopper.validate(stage.network, 1)
            validation = (perf_counter() - last) * self.reporter.ratios.get("val", 1.0)
            each += validation / stage.early_stopping.every
        del self.reporter.parts[loops:]
        self.reporter.seconds = spent + perf_counter() - began
        self.reporter.parts.append(
            Part(
                title=training_title(stage.name),
                seconds=each * stage.steps,
                stage=stage.name,
                steps=stage.steps,
                full_steps=stage.steps,
            )
        )
        return stopper.end(stage.network)


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
    cached = trainer.cache.size
    more_images = min(LIMIT_BYTES, int(cached * len(dataset) / max(1, len(some)))) - cached
    return TimePlan(
        parts=tuple(reporter.parts),
        rest=max(0.0, perf_counter() - began - reporter.seconds),
        memory=peak_memory(trainer.device) + more_images,
    )


def some_of_each(dataset: Dataset) -> Dataset:
    """A few images of each kind, that is of each product, split and set of labels."""
    kept: dict[tuple[object, ...], int] = defaultdict(int)
    ids = set()
    for sample in dataset:
        labels = frozenset(annotation.label for annotation in sample.annotations)
        kind = sample.product, sample.split, sample.is_defective, labels
        if kept[kind] < IMAGES_OF_A_KIND.get(sample.split or "", 0):
            kept[kind] += 1
            ids.add(sample.id)
    return dataset.where(lambda sample: sample.id in ids)


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
