"""Image score of a trained map: fitted on validation images, with a head that learned from whole images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.arrays import Pixels, Size
from blemish.dataset.masks import defect_instances
from blemish.dataset.quality.near_duplicates import SmallImage, similarity_groups, small_image
from blemish.dataset.samples import Sample
from blemish.errors import UnavailableError
from blemish.images.resize import resized
from blemish.images.tiling import planes
from blemish.methods.common.image_head import (
    NAME,
    SIDE,
    STAGE,
    ScoreSettings,
    head_log_odds,
    learned_from,
)
from blemish.methods.common.map_score import MapScore, MapScoreFitter
from blemish.methods.contract import CacheUse, Stage, Trainer
from blemish.nn.image_head import CELL, RATE_SHARES, UNKNOWN, ImageHead, head_loss
from blemish.nn.optimisation import adamw, scheduled

MAX_IMAGES = 1000  # of the training images, evenly spread over both kinds
BATCH = 16  # images of a step, half of them defective
VIEWS = 4  # of an image: as it is, mirrored left to right, top to bottom, both
CONTRAST = 0.1  # greatest change of that of a view's maps, as a share
MAX_BYTES = 1 << 30  # of maps that are kept
LEARNING_RATE = 3e-3  # peak
WARM_UP = 20  # steps
WEIGHT_DECAY = 0.01
GRADIENT_CLIP = 5.0
DRAWS = 1_000  # purpose of draws, part of their seeds; unlike those of any method


class ImageScoreFitter:
    """Takes in validation images with their maps, and fits the image score to them.

    samples: training images, of which the head learns; max_value: greatest possible value of the maps
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        settings: ScoreSettings,
        trainer: Trainer,
        *,
        channels: int | None,
        max_value: float,
    ) -> None:
        self.settings = settings
        self.head = trained_image_head(samples, settings, trainer, channels=channels)
        self.networks = {} if self.head is None else trainer.networks({NAME: self.head})
        self.fitter = MapScoreFitter(max_value)
        self.small_images: list[SmallImage] = []

    def update(self, values: NDArray[np.float32], pixels: Pixels, *, defective: bool) -> None:
        """Take in an image and its map, [H, W]."""
        head = None if self.head is None else head_log_odds(pixels, self.networks)
        self.small_images.append(small_image(pixels))
        self.fitter.update(values, defective=defective, head=head)

    def fit(self) -> tuple[MapScore | None, dict[str, nn.Module]]:
        """Fitted score, None where the maximum is the score; and the head by its name where it helps."""
        if self.settings.image_score == "max":
            return None, {}
        score = self.fitter.fit(similarity_groups(self.small_images))
        if score is None or not score.uses_head or self.head is None:
            return score, {}
        return score, {NAME: self.head}


def trained_image_head(
    samples: Sequence[Sample],
    settings: ScoreSettings,
    trainer: Trainer,
    *,
    channels: int | None,
    stage: str = STAGE,
) -> ImageHead | None:
    """Head that learned from the samples: their labels, and the places of defects where these are marked.

    None where none is wanted, where there are too few images of either kind, and, with a note, where the
    encoder's weights cannot be had. stage: name of the training's stage
    """
    kinds = learned_from(samples, settings)
    if kinds is None:
        return None
    torch.manual_seed(trainer.seed)
    try:
        head = ImageHead("imagenet")
    except UnavailableError as error:
        trainer.note(
            f"The image score has no head for the whole image, as there is no pretrained encoder. {error}"
        )
        return None
    chosen = [each for kind in kinds for each in kind[:: -(-len(kind) // (MAX_IMAGES // 2))]]
    source = ViewSource(
        [
            squeezed_image(sample, trainer.read(sample, channels))
            for sample in trainer.track(chosen, "reading images for the image score")
        ],
        trainer.seed,
    )
    maps = FirstMaps(head, source.images)
    trainer.optimise(
        Stage(
            name=stage,
            network=head.cells,
            steps=settings.image_score_steps,
            batch=source.draw,
            loss=lambda network, batch: head_loss(
                network(maps.drawn(batch)), batch["cells"], batch["defective"]
            ),
            optimiser=partial(adamw, weight_decay=WEIGHT_DECAY),
            learning_rate=scheduled(LEARNING_RATE, steps=settings.image_score_steps, warmup=WARM_UP),
            gradient_clip=GRADIENT_CLIP,
            rate_shares=RATE_SHARES,
            cache=maps.use,
        )
    )
    return head


@dataclass(frozen=True)
class SqueezedImage:
    """Image as the head takes it, with the cells that show a defect.

    pixels: [S, S] or [S, S, C]; cells: [h, h], see `defective_cells`
    """

    pixels: Pixels
    cells: NDArray[np.float32]
    defective: bool


def squeezed_image(sample: Sample, pixels: Pixels) -> SqueezedImage:
    """Image of a sample with its cells. pixels: [H, W] or [H, W, C]"""
    cells = defective_cells(sample, (pixels.shape[0], pixels.shape[1]), SIDE // CELL)
    return SqueezedImage(resized(pixels, (SIDE, SIDE)), cells, sample.is_defective)


def defective_cells(sample: Sample, size: Size, number: int) -> NDArray[np.float32]:
    """Cells of an image, [number, number]: 1 where they hold a pixel of a defect's outline or box, 0
    elsewhere, or `UNKNOWN` where the place of any defect is not known.

    size: of the image, (height, width)
    """
    placed = all(annotation.has_place for annotation in sample.annotations)
    cells = np.full((number, number), 0.0 if placed else UNKNOWN, np.float32)
    for instance in defect_instances(sample, size):
        left, top, right, bottom = instance.box_xyxy
        if instance.mask is None:
            columns, rows = (
                np.arange(max(0, int(low)), min(side, int(np.ceil(high))))
                for low, high, side in ((left, right, size[1]), (top, bottom, size[0]))
            )
            cells[np.ix_(rows * number // size[0], columns * number // size[1])] = 1
        else:
            rows, columns = np.nonzero(instance.mask)
            cells[(rows + int(top)) * number // size[0], (columns + int(left)) * number // size[1]] = 1
    return cells


@dataclass(frozen=True)
class ViewSource:
    """Draws views of images of both kinds equally often. A view is an image or one of its mirror images."""

    images: Sequence[SqueezedImage]
    seed: int

    def draw(self, step: int, rank: int) -> dict[str, Tensor]:
        """Numbers of images and of their views [B, 2], cells [B, h, h] and whether they are defective [B]."""
        generator = np.random.default_rng([self.seed, DRAWS, step, rank])
        kinds = (
            [number for number, image in enumerate(self.images) if image.defective is kind]
            for kind in (True, False)
        )
        each = BATCH // 2
        numbers = [int(n) for kind in kinds for n in generator.choice(kind, each, replace=len(kind) < each)]
        views = generator.integers(VIEWS, size=BATCH)
        cells = [self.images[n].cells[mirror(int(view))] for n, view in zip(numbers, views, strict=True)]
        return {
            "views": torch.from_numpy(np.column_stack([numbers, views])),
            "cells": torch.from_numpy(np.stack(cells)),
            "defective": torch.tensor([float(self.images[number].defective) for number in numbers]),
        }


class FirstMaps:
    """Maps that a head's first stages, which do not learn, make of views; each is computed once."""

    def __init__(self, head: ImageHead, images: Sequence[SqueezedImage]) -> None:
        self.head = head
        self.images = images
        self.maps: dict[tuple[int, int], Tensor] = {}
        self.use = CacheUse(MAX_BYTES, VIEWS)

    def drawn(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Maps of a batch's views, [B, 40, S/8, S/8], their contrast changed a little by chance."""
        found = torch.stack([self.of(number, view) for number, view in batch["views"].tolist()])
        device = batch["views"].device
        contrast = 1 + CONTRAST * (2 * torch.rand(len(found), 1, 1, 1) - 1)
        return found.to(device).float() * contrast.to(device)

    def of(self, number: int, view: int) -> Tensor:
        """Maps of a view, [40, S/8, S/8], in half precision. number: of the image"""
        self.use.requests += 1
        if (number, view) in self.maps:
            return self.maps[number, view]
        began = perf_counter()
        device = next(self.head.cells.parameters()).device
        pixels = np.ascontiguousarray(planes(self.images[number].pixels[mirror(view)]))
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            maps = self.head.to(device).first_maps(torch.from_numpy(pixels)[None].to(device))[0].half().cpu()
        self.use.seconds += perf_counter() - began
        self.use.computed += 1
        if self.use.keep(maps.nbytes):
            self.maps[number, view] = maps
        return maps


def mirror(view: int) -> tuple[slice, slice]:
    """Rows and columns of an array in the order in which a view shows them."""
    return slice(None, None, 1 - 2 * (view >> 1)), slice(None, None, 1 - 2 * (view & 1))
