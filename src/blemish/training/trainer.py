"""The trainer that methods are given: the training loop, a cache of images, and networks for inference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.arrays import Pixels, RgbImage
from blemish.bundle.store import Bundle
from blemish.dataset.samples import Sample
from blemish.errors import BlemishError
from blemish.evaluation.region_point import AREAS, RegionSweep, levels_up_to
from blemish.evaluation.sweep import Sweep, sweep_threshold
from blemish.files import write_atomically
from blemish.images.bit_depth import full_range
from blemish.images.decode import read_image, with_channels
from blemish.images.encode import png_bytes
from blemish.inspector.torch_backend import as_networks, fast_bfloat16, pick_device
from blemish.methods.contract import MethodSettings, Networks, Stage, ValidationResult
from blemish.nn.optimisation import freeze_parts, set_learning_rate, share_rates
from blemish.nn.runtime import prepare_runtime
from blemish.progress import Reporter
from blemish.training.cache import ArrayCache
from blemish.training.checkpoint import load_checkpoint, restore, save_checkpoint
from blemish.training.clock import Clock, Pace
from blemish.training.early_stopping import EarlyStopper
from blemish.training.log import RunLog
from blemish.training.time_plan import StepCount

LOG_EVERY = 10  # steps
POSITION, SECONDS = "position", "seconds"  # in a checkpoint: on the schedule, and since the training began
CHECKPOINTS, PICTURES = "checkpoints", "pictures"  # folders of a run
SWEEP_STEPS = 119  # thresholds between 0 and the greatest severity


class RunTrainer:
    """Trainer of stages in a run folder. Random draws follow from `seed`; checkpoints allow to resume."""

    def __init__(
        self,
        run: Path,
        settings: MethodSettings,
        *,
        seed: int,
        reporter: Reporter,
        initial_bundle: Bundle | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.run = run
        self.initial_bundle = initial_bundle
        self.settings = settings
        self.seed = seed
        self.reporter = reporter
        self.clock = clock or Clock()
        self.device = pick_device(settings.device)
        self.bfloat16 = settings.precision == "bf16" or (
            settings.precision == "auto" and fast_bfloat16(self.device)
        )
        self.cache = ArrayCache()
        self.log = RunLog(run)
        self.steps: dict[str, StepCount] = {}  # by stage, of those that have ended

    def optimise(self, stage: Stage) -> tuple[ValidationResult, ...]:
        """Train the stage's network in place to its last step, from its checkpoint where there is one.

        With early stopping it ends when it gets no better, and leaves the network in its best state; with
        an average of the weights, in that.
        Raises BlemishError on a loss that is not finite. Whatever stops it, the last checkpoint is whole.
        """
        network, optimiser, accelerator = self.prepared(stage)
        stopper = EarlyStopper.of(stage)
        pace = self.resumed(stage, optimiser, stopper)
        began = taken = pace.done
        for step, position, batch in self.batches(stage, pace, stopper, accelerator.process_index):
            set_learning_rate(optimiser, stage.learning_rate(position))
            loss = self.advance(stage, step, batch, network, optimiser, accelerator)
            stopper.update(stage.network, step)
            taken = step + 1
            if accelerator.is_main_process:
                ends = pace.is_last
                self.record(stage, step + 1, loss, stage.learning_rate(position), ends=ends)
                self.validate(stage, stopper, step + 1, ends=ends)
                ends = ends or stopper.exhausted
                if (step + 1) % self.settings.checkpoint_every == 0 or ends:
                    self.save(stage, optimiser, stopper, pace)
        self.steps[stage.name] = StepCount(stage.steps, taken, ended_early=not pace.ended)
        if pace.ended and taken != began:
            self.note_other_steps(stage, pace)
        return stopper.end(stage.network)

    def prepared(self, stage: Stage) -> tuple[nn.Module, Any, Accelerator]:
        """Network, optimiser and accelerator of a stage, its random draws set by the seed."""
        prepare_runtime()
        set_seed(self.seed)
        accelerator = Accelerator(cpu=self.device == "cpu")
        stage.network.train().to(memory_format=torch.channels_last)
        freeze_parts(stage.network, stage.rate_shares)
        optimiser = stage.optimiser(stage.network.parameters())
        share_rates(optimiser, stage.network, stage.rate_shares)
        network, optimiser = accelerator.prepare(stage.network, optimiser)
        return network, optimiser, accelerator

    def resumed(self, stage: Stage, optimiser: Any, stopper: EarlyStopper) -> Pace:
        """Restore the stage from its checkpoint, where there is one; returns where it stands."""
        checkpoint = load_checkpoint(self.checkpoint(stage))
        done, position = 0, 0.0
        if checkpoint is None:
            self.log.forget_after(stage.name, -1)
            self.validate(stage, stopper, 0)
        else:
            restore(checkpoint, stage.network, optimiser.optimizer)
            stopper.recall(checkpoint.tensors, checkpoint.metadata)
            done = checkpoint.step
            position = float(checkpoint.metadata.get(POSITION, done))
            self.clock.resume(float(checkpoint.metadata.get(SECONDS, 0)))
            self.log.forget_after(stage.name, done)
        clock = self.clock
        pace = Pace(stage.steps, done, position, clock.seconds_for(stage.name), now=clock.now)
        part = clock.part(stage.name)
        if part is None:
            return pace
        return replace(pace, most=part.full_steps, least=part.least, expected=part.seconds_of)

    def checkpoint(self, stage: Stage) -> Path:
        """Path of the stage's checkpoint."""
        return self.run / CHECKPOINTS / f"{stage.name}.safetensors"

    def save(self, stage: Stage, optimiser: Any, stopper: EarlyStopper, pace: Pace) -> None:
        """Write the stage's checkpoint after the present step."""
        progress = {POSITION: str(pace.next_position), SECONDS: str(self.clock.elapsed)}
        save_checkpoint(
            self.checkpoint(stage), stage.network, optimiser.optimizer, pace.done + 1, stopper, progress
        )

    def validate(self, stage: Stage, stopper: EarlyStopper, step: int, *, ends: bool = False) -> None:
        """Validate the network where it is due, and log what was measured. ends: after the last step"""
        if stopper.due(step, ends=ends):
            found = stopper.validate(stage.network, step)
            values = {f"validation {name}": value for name, value in found.values.items()}
            self.log.write({"stage": stage.name, "step": step, **values})

    def advance(
        self,
        stage: Stage,
        step: int,
        batch: Mapping[str, Tensor],
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        accelerator: Accelerator,
    ) -> float:
        """Take one optimisation step; returns its loss. What the loss draws follows from seed and step."""
        torch.manual_seed(int(np.random.default_rng([self.seed, step]).integers(2**63)))
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bfloat16):
            loss = stage.loss(network, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            rate = optimiser.param_groups[0]["lr"]
            raise BlemishError(
                f"{self.run}: the loss became {value} at step {step + 1} of stage '{stage.name}'. "
                f"Lower its learning rate (now {rate:.2g}) and choose another --out."
            )
        optimiser.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(network.parameters(), stage.gradient_clip)
        optimiser.step()
        return value

    def batches(
        self, stage: Stage, pace: Pace, stopper: EarlyStopper, rank: int
    ) -> Iterator[tuple[int, int, Mapping[str, Tensor]]]:
        """Each step with its place on the schedule and its batch, made while the network works on the one
        before. They end when training is to stop early.
        """
        if stopper.exhausted or pace.ended:
            return
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(stage.batch, pace.done, rank)
            steps = self.reporter.track(
                pace, training_title(stage.name), total=lambda: pace.total, done=pace.done
            )
            for step, position in steps:
                batch = coming.result()
                if not pace.is_last:
                    coming = pool.submit(stage.batch, step + 1, rank)
                yield step, position, {name: self.placed(tensor) for name, tensor in batch.items()}
                if stopper.exhausted:
                    return

    def placed(self, tensor: Tensor) -> Tensor:
        moved = tensor.to(self.device)
        return moved.contiguous(memory_format=torch.channels_last) if moved.ndim == 4 else moved

    def record(self, stage: Stage, step: int, loss: float, rate: float, *, ends: bool) -> None:
        if step % LOG_EVERY == 0 or ends:
            self.log.write({"stage": stage.name, "step": step, "loss": loss, "learning_rate": rate})

    def note_other_steps(self, stage: Stage, pace: Pace) -> None:
        """Tell where the steps of a stage are more or fewer than planned, to keep its time."""
        if pace.done != stage.steps:
            why = (
                "the least that are worth training, which take longer than there was time"
                if pace.done == pace.least
                else "to keep the time: they took another time than measured before"
            )
            self.note(f"{training_title(stage.name)}: {pace.done} steps in place of {stage.steps}, {why}.")

    def networks(self, modules: Mapping[str, nn.Module]) -> Networks:
        """Modules in eval mode as functions of arrays, in fp32 like every later inspection."""
        return as_networks(modules, device=self.device)

    def read(self, sample: Sample, channels: int | None) -> Pixels:
        """Decoded pixels of a sample, from memory where they are still there."""
        bits = self.settings.bits

        def decode() -> Pixels:
            return with_channels(full_range(read_image(sample.image), bits, str(sample.image)), channels)

        return self.cache.get(("pixels", sample.id), decode)

    def remember(self, sample: Sample, compute: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Array that `compute` makes of a sample's annotations, from memory where it is still there."""
        return self.cache.get(("classes", sample.id), compute)

    def sweep(
        self,
        maps: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]],
        *,
        max_threshold: float,
        criterion: str,
    ) -> Sweep:
        """Try thresholds in (0, max_threshold) on maps and true masks [H, W] of validation images."""
        thresholds = np.linspace(0, max_threshold, SWEEP_STEPS + 2)[1:-1]
        return sweep_threshold(maps, thresholds, criterion=criterion)

    def region_sweep(self, max_threshold: float, *, min_area: float) -> RegionSweep:
        """Sweep of operating points of regions, of `min_area` at least, in maps of (0, max_threshold)."""
        areas = (min_area, *(area for area in AREAS if area > min_area))
        return RegionSweep(levels_up_to(max_threshold), areas)

    def note(self, message: str) -> None:
        """Write a line for the user and the log."""
        self.reporter.line(message)
        self.log.write({"note": message})

    def save_image(self, name: str, draw: Callable[[], RgbImage]) -> None:
        """Save an image as RUN/pictures/NAME.png; it is drawn only where there is none yet."""
        file = self.run / PICTURES / f"{name}.png"
        if file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, png_bytes(draw()))
        self.note(f"{name.replace('-', ' ')}: {file}")

    def track(self, items: Iterable[Any], title: str) -> Iterable[Any]:
        """Iterate over items with a progress bar."""
        return self.reporter.track(items, title)


def training_title(stage: str) -> str:
    """Title of a stage's progress bar."""
    return f"training {stage}"
