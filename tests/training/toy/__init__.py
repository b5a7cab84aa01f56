"""A toy method that learns from good images alone: the further an image's mean from theirs, the worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.arrays import Pixels
from blemish.bundle.manifest import Manifest
from blemish.dataset.samples import Dataset
from blemish.methods.base import BaseMethod
from blemish.methods.contract import Fitted, ImageFindings, MethodSettings, Networks, Stage, Trainer
from blemish.nn.optimisation import adamw


class Level(nn.Module):
    """The mean of good images, learned: images [B, 1, H, W] to their distance from it, [B, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(nn.init.zeros_(Tensor(1)))

    def forward(self, images: Tensor) -> Tensor:
        return (images.mean((2, 3)) - self.level).abs()


@dataclass(frozen=True)
class ToyInference:
    """Scores an image as a whole; marks nothing."""

    channels: ClassVar[int] = 1
    mm_per_px: ClassVar[None] = None
    classifies: ClassVar[bool] = False
    segments: ClassVar[bool] = False
    streams: ClassVar[None] = None
    pixel_threshold: ClassVar[None] = None
    region_threshold: ClassVar[None] = None
    score_map_max: ClassVar[None] = None
    threshold_score: ClassVar[None] = None

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        return inputs[0], 1

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        return networks["level"](np.float32(pixels)[None, None] / 255)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        return ImageFindings(min(1.0, float(raw[0, 0])), ())


class ToyMethod(BaseMethod[MethodSettings]):
    name = "toy"
    title = "Toy"
    settings_type = MethodSettings
    needs_defects_in = ()

    def fit(self, dataset: Dataset, settings: Any, trainer: Trainer) -> Fitted:
        images = [trainer.read(sample, 1) for sample in dataset.split("train")]
        batch = {"images": Tensor(np.float32(images)[:, None] / 255)}
        network = Level()
        trainer.optimise(
            Stage(
                name="level",
                network=network,
                steps=60,
                batch=lambda step, rank: batch,
                loss=lambda network, batch: network(batch["images"]).square().mean(),
                optimiser=lambda parameters: adamw(parameters, weight_decay=0.0),
                learning_rate=lambda step: 0.1 * (1 - step / 60),
                gradient_clip=1.0,
            )
        )
        return Fitted({"level": network}, ("defect",), 1, thresholds={}, tiling={})

    def modules(self, manifest: Manifest) -> Mapping[str, nn.Module]:
        return {"level": Level()}

    def inference(self, manifest: Manifest) -> ToyInference:
        return ToyInference()


METHOD = ToyMethod()
