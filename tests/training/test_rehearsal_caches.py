from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.methods.contract import CacheUse, MethodSettings, Stage
from blemish.methods.tlsdd.data.image_memory import ImageMemory
from blemish.training.cache_costs import DrawnKind, RehearsedUse, cost_on_all_images
from blemish.training.rehearsal import RehearsalReporter, RehearsalTrainer, some_of_each
from blemish.training.time_plan import Part

VIEWS, DRAWN = 4, {"good": 2, "defective": 6}  # images of a step
STEP, RESULT = 0.25, 1.0  # seconds


class Draws:
    """Images of each step, so many of each kind, each in a view drawn at random."""

    def __init__(self, dataset: Dataset) -> None:
        good = [sample for sample in dataset if not sample.annotations]
        defective = [sample for sample in dataset if sample.annotations]
        self.pools = {"good": good, "defective": defective}

    def of(self, step: int) -> list[tuple[Sample, int]]:
        generator = np.random.default_rng(step)
        return [
            (pool[generator.integers(len(pool))], int(generator.integers(VIEWS)))
            for kind, pool in self.pools.items()
            for _ in range(DRAWN[kind])
        ]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """80 good and 20 defective images."""
    samples = []
    for number in range(100):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(path)
        marks = (Annotation("scratch"),) if number < 20 else ()
        samples.append(Sample(path, path.name, marks, split="train"))
    return Dataset(tmp_path, tuple(samples), ("scratch",))


class Toy:
    """Stage whose steps take STEP seconds of a clock of its own, and RESULT for what is not in the cache."""

    def __init__(
        self, run: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, *, max_bytes: int = 10**6
    ) -> None:
        self.time, some = 0.0, some_of_each(dataset)
        monkeypatch.setattr("blemish.training.rehearsal.perf_counter", lambda: self.time)
        settings = MethodSettings(device="cpu", precision="fp32")
        self.trainer = RehearsalTrainer(run, settings, seed=0, reporter=RehearsalReporter(dataset, some))
        self.use, self.draws = CacheUse(max_bytes, views=VIEWS), Draws(some)
        self.cached: set[tuple[str, int]] = set()

    def batch(self, step: int, rank: int) -> dict[str, Tensor]:
        for sample, _ in self.draws.of(step):
            self.trainer.read(sample, 1)
        return {"step": torch.tensor([float(step)])}

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        self.time += STEP
        for sample, view in self.draws.of(int(batch["step"])):
            self.use.requests += 1
            if (sample.id, view) not in self.cached:
                self.cached.add((sample.id, view))
                self.use.computed += 1
                self.use.seconds += RESULT
                self.use.keep(100)
                self.time += RESULT
        loss: Tensor = network(batch["step"]).sum()
        return loss

    def rehearsed(self, steps: int) -> Part:
        stage = Stage(
            name="toy",
            network=nn.Linear(1, 1),
            steps=steps,
            batch=self.batch,
            loss=self.loss,
            optimiser=lambda parameters: torch.optim.SGD(parameters, lr=1e-3),
            learning_rate=lambda step: 1e-3,
            gradient_clip=1.0,
            cache=self.use,
        )
        self.trainer.optimise(stage)
        return self.trainer.reporter.parts[-1]


def real_seconds(dataset: Dataset, steps: int, *, room: int = 10**6) -> float:
    """Seconds that the steps of the toy take on all images. room: results that the cache keeps"""
    draws, kept, computed = Draws(dataset), set(), 0
    for sample, view in (draw for step in range(steps) for draw in draws.of(step)):
        if (sample.id, view) not in kept:
            computed += 1
            if len(kept) < room:
                kept.add((sample.id, view))
    return steps * STEP + computed * RESULT


def test_steps_are_measured_as_they_are_once_the_cache_is_full(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Toy(tmp_path, dataset, monkeypatch).rehearsed(400)
    assert part.seconds_per_step == pytest.approx(STEP, rel=0.02)  # the filling would make it 2 s or more
    for steps in (400, 100, 30):
        assert part.with_steps(steps).seconds == pytest.approx(real_seconds(dataset, steps), rel=0.06)


@pytest.mark.parametrize("room", [20, 60, 150])
def test_what_finds_no_room_in_the_cache_counts_in_every_step(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    part = Toy(tmp_path, dataset, monkeypatch, max_bytes=100 * room).rehearsed(400)
    for steps in (400, 100, 30):
        real = real_seconds(dataset, steps, room=room)
        assert part.with_steps(steps).seconds == pytest.approx(real, rel=0.08)


def test_all_that_the_whole_dataset_will_cache_is_told(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Toy(tmp_path, dataset, monkeypatch)
    toy.rehearsed(4000)  # enough to see every view of every image
    assert toy.trainer.reporter.feature_bytes + toy.use.num_bytes == pytest.approx(
        100 * VIEWS * 100, rel=0.01
    )


USE = CacheUse(max_bytes=1000, kept=40, num_bytes=400, requests=40, computed=40, seconds=4.0)


def test_what_finds_no_room_is_computed_in_every_step() -> None:
    """Ten times the images need 4000 of 1000 bytes: three of four requests compute for 0.1 s."""
    steps = replace(USE, requests=40 + 5 * 8)
    cost = cost_on_all_images(RehearsedUse(USE, USE, steps, 5), [], ratio=10, full_steps=100)
    assert cost.seconds_per_step == pytest.approx(8 * 0.75 * 0.1)
    assert (cost.num_bytes, cost.fillings) == (1000, ())


def test_what_an_earlier_stage_has_cached_is_not_computed_again() -> None:
    use = replace(USE, views=4)  # 10 images in four views are all there
    after = replace(use, requests=80)
    cost = cost_on_all_images(
        RehearsedUse(use, use, after, 5), [DrawnKind(10, 20, 8)], ratio=2, full_steps=100
    )
    assert (cost.seconds_per_step, cost.fillings, cost.num_bytes) == (0, (), 800)


def test_a_cache_that_does_not_know_its_views_is_bounded_by_its_limit() -> None:
    grown = replace(USE, kept=60, num_bytes=600, requests=60, computed=60)
    cost = cost_on_all_images(RehearsedUse(USE, USE, grown, 5), [], ratio=1, full_steps=10)
    assert (cost.fillings, cost.num_bytes) == ((), 400 + 10 * 4 * 10)
    assert cost_on_all_images(RehearsedUse(USE, USE, grown, 5), [], ratio=1, full_steps=999).num_bytes == 1000


def test_image_memory_counts_what_it_computes() -> None:
    memory: ImageMemory[dict[str, np.ndarray]] = ImageMemory(views=2)
    images = [np.full((1, 3, 2, 2), value, np.float32) for value in (0, 1, 0, 0)]
    for image in images:
        memory.get(image, lambda: {"maps": np.zeros(10, np.uint8)})
    use = memory.use
    assert (use.requests, use.computed, use.kept, use.num_bytes, use.views) == (4, 2, 2, 20, 2)
