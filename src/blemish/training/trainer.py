"""The trainer that methods are given: the training loop, a cache of images, and networks for inference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from blemish.evaluation.sweep import Sweep, sweep_threshold
from blemish.files import write_atomically
from blemish.images.bit_depth import full_range
from blemish.images.decode import read_image, with_channels
from blemish.images.encode import png_bytes
from blemish.inspector.torch_backend import as_networks, fast_bfloat16, pick_device
from blemish.methods.contract import MethodSettings, Networks, Stage, ValidationResult
from blemish.nn.runtime import prepare_runtime
from blemish.progress import Reporter
from blemish.training.cache import ArrayCache
from blemish.training.checkpoint import load_checkpoint, restore, save_checkpoint
from blemish.training.early_stopping import EarlyStopper
from blemish.training.log import RunLog

LOG_EVERY = 10  # steps
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
    ) -> None:
        self.run = run
        self.initial_bundle = initial_bundle
        self.settings = settings
        self.seed = seed
        self.reporter = reporter
        self.device = pick_device(settings.device)
        self.bfloat16 = settings.precision == "bf16" or (
            settings.precision == "auto" and fast_bfloat16(self.device)
        )
        self.cache = ArrayCache()
        self.log = RunLog(run)

    def optimise(self, stage: Stage) -> tuple[ValidationResult, ...]:
        """Train the stage's network in place to its last step, from its checkpoint where there is one.

        With early stopping it ends when it gets no better, and leaves the network in its best state.
        Raises BlemishError on a loss that is not finite. Whatever stops it, the last checkpoint is whole.
        """
        prepare_runtime()
        set_seed(self.seed)
        accelerator = Accelerator(cpu=self.device == "cpu")
        stage.network.train().to(memory_format=torch.channels_last)
        network, optimiser = accelerator.prepare(stage.network, stage.optimiser(stage.network.parameters()))
        stopper = EarlyStopper(stage.early_stopping)
        done = self.resumed(stage, optimiser, stopper)
        for step, batch in self.batches(stage, done, stopper, accelerator.process_index):
            for group in optimiser.param_groups:
                group["lr"] = stage.learning_rate(step)
            loss = self.advance(stage, step, batch, network, optimiser, accelerator)
            if accelerator.is_main_process:
                self.record(stage, step + 1, loss)
                self.validate(stage, stopper, step + 1)
                ends = step + 1 == stage.steps or stopper.exhausted
                if (step + 1) % self.settings.checkpoint_every == 0 or ends:
                    save_checkpoint(
                        self.checkpoint(stage), stage.network, optimiser.optimizer, step + 1, stopper
                    )
        return stopper.end(stage.network)

    def resumed(self, stage: Stage, optimiser: Any, stopper: EarlyStopper) -> int:
        """Restore the stage from its checkpoint, where there is one; returns the number of steps done."""
        checkpoint = load_checkpoint(self.checkpoint(stage))
        if checkpoint is None:
            self.log.forget_after(stage.name, -1)
            self.validate(stage, stopper, 0)
            return 0
        restore(checkpoint, stage.network, optimiser.optimizer)
        stopper.recall(checkpoint.tensors, checkpoint.metadata)
        self.log.forget_after(stage.name, checkpoint.step)
        return checkpoint.step

    def checkpoint(self, stage: Stage) -> Path:
        """Path of the stage's checkpoint."""
        return self.run / CHECKPOINTS / f"{stage.name}.safetensors"

    def validate(self, stage: Stage, stopper: EarlyStopper, step: int) -> None:
        """Validate the network where it is due, and log what was measured."""
        if stopper.due(step, stage.steps):
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
            raise BlemishError(
                f"{self.run}: the loss became {value} at step {step + 1} of stage '{stage.name}'. "
                f"Lower its learning rate (now {stage.learning_rate(step):.2g}) and choose another --out."
            )
        optimiser.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(network.parameters(), stage.gradient_clip)
        optimiser.step()
        return value

    def batches(
        self, stage: Stage, done: int, stopper: EarlyStopper, rank: int
    ) -> Iterator[tuple[int, Mapping[str, Tensor]]]:
        """Batches of steps done…steps − 1, each made while the network works on the one before.

        They end when training is to stop early.
        """
        steps = range(done, stage.steps) if not stopper.exhausted else range(0)
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(stage.batch, done, rank) if steps else None
            for step in self.reporter.track(steps, f"training {stage.name}", total=stage.steps, done=done):
                assert coming is not None
                batch = coming.result()
                if step + 1 < stage.steps:
                    coming = pool.submit(stage.batch, step + 1, rank)
                yield step, {name: self.placed(tensor) for name, tensor in batch.items()}
                if stopper.exhausted:
                    return

    def placed(self, tensor: Tensor) -> Tensor:
        moved = tensor.to(self.device)
        return moved.contiguous(memory_format=torch.channels_last) if moved.ndim == 4 else moved

    def record(self, stage: Stage, step: int, loss: float) -> None:
        if step % LOG_EVERY == 0 or step == stage.steps:
            rate = stage.learning_rate(step - 1)
            self.log.write({"stage": stage.name, "step": step, "loss": loss, "learning_rate": rate})

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
