"""What the first autoencoder learns from beside labelled images: which images, and the pairs drawn of them.

Each unlabelled image is drawn twice with one warp: plain for the teacher, under another light for the
student, in whose images rectangles then change places (see `teacher`). Letters: U images; C channels; s side.
Source: French et al. 2020, section 3.3, for the rectangles: of half the area, any shape and place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from blemish.arrays import Pixels
from blemish.dataset.outlined import outlined
from blemish.dataset.quality.leaks import refuse_seen
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.splits.labelled import draw_labelled, unlabelled_images
from blemish.images.tiling import planes
from blemish.methods.casae.augment import draw_warp
from blemish.methods.casae.settings import Settings
from blemish.methods.casae.sources import UNLABELLED, framed, lit, side_of

CUT_AREA = 0.5  # of a rectangle that changes places, as a share of the image
RAMP_STEEPNESS = 5.0  # Tarvainen & Valpola's; it starts at e⁻⁵


@dataclass(frozen=True)
class Learned:
    """labelled: training images with their marks; hidden: those whose marks are not to be known, stripped of
    them; foreign: images from a folder outside the dataset; sentences: on that, none where all is as usual
    """

    labelled: tuple[Sample, ...]
    hidden: tuple[Sample, ...] = ()
    foreign: tuple[Sample, ...] = ()
    sentences: tuple[str, ...] = ()

    @property
    def unlabelled(self) -> tuple[Sample, ...]:
        return self.hidden + self.foreign


def learned_from(dataset: Dataset, settings: Settings, seed: int) -> Learned:
    """What the settings allow to learn from; with unlabelled_weight 0 there are no unlabelled images.

    Raises BlemishError where no defect is outlined, for more labelled images than there are, a folder without
    images, or an image in it that shows the same as one of splits "val" or "test".
    """
    whole = outlined(dataset).split("train")
    labelled = whole.samples
    hidden: tuple[Sample, ...] = ()
    foreign: tuple[Sample, ...] = ()
    if settings.labelled is not None:
        labelled, hidden = draw_labelled(labelled, settings.labelled, seed)
    if settings.unlabelled_weight == 0:
        hidden = ()
    elif settings.unlabelled is not None:
        foreign = unlabelled_images(Path(settings.unlabelled))
        refuse_seen(dataset, foreign)
    learned = Learned(labelled, hidden, foreign)
    return replace(learned, sentences=sentences_on(learned, whole))


def sentences_on(learned: Learned, whole: Dataset) -> tuple[str, ...]:
    """How many images are learned from and how, and which classes have no mask. whole: the outlined images of
    split "train"
    """
    given, without = len(learned.labelled), len(learned.unlabelled)
    if given == len(whole) and not without:
        return ()
    shown = replace(whole, samples=learned.labelled).class_counts
    missing = [name for name, images in whole.class_counts.items() if images and not shown[name]]
    text = f"Of {len(whole)} training images {given} are learned from with their masks, and "
    text += f"{without} images without." if without else "no others."
    return (text + (f" No mask of class {', '.join(missing)} is among them." if missing else ""),)


def portable(settings: Settings) -> Settings:
    """What a bundle is to remember: of the folder its name, as the path means nothing elsewhere."""
    if settings.unlabelled is None:
        return settings
    return settings.model_copy(update={"unlabelled": Path(settings.unlabelled).resolve().name})


@dataclass(frozen=True)
class UnlabelledSource:
    """Draws unlabelled images in pairs. read: sample to pixels"""

    settings: Settings
    read: Callable[[Sample], Pixels]
    samples: Sequence[Sample]
    seed: int

    def draw(self, step: int, rank: int) -> dict[str, Tensor]:
        """plain and lit [U, C, s, s], about [0, 1]; cut [U, 1, s, s]: where another image's part is to be;
        ramp: share of the weight at this step.
        """
        generator = np.random.default_rng([self.seed, UNLABELLED, step, rank])
        drawn = [self.one(generator) for _ in range(self.settings.unlabelled_batch)]
        side = side_of(self.settings)
        cuts = [draw_cut(side, generator) for _ in drawn]
        return {
            "plain": torch.from_numpy(np.stack([plain for plain, _ in drawn])),
            "lit": torch.from_numpy(np.stack([relit for _, relit in drawn])),
            "cut": torch.from_numpy(np.stack(cuts)[:, None]),
            "ramp": torch.tensor(ramped(step, self.settings.ramp * self.settings.steps)),
        }

    def one(self, generator: Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One image [C, s, s] as it is and under another light, both of the same warp."""
        sample = self.samples[int(generator.integers(len(self.samples)))]
        pixels, center = framed(self.read(sample), None, self.settings, generator)
        warped = draw_warp(side_of(self.settings), self.settings, generator).image(pixels, center)
        return planes(warped), lit(warped, self.settings, generator)


def draw_cut(side: int, generator: Generator) -> NDArray[np.bool_]:
    """[side, side]: a rectangle of about half the area, true inside."""
    share = CUT_AREA ** generator.random()
    height, width = round(side * share), round(side * CUT_AREA / share)
    top, left = generator.integers(side - height + 1), generator.integers(side - width + 1)
    cut = np.zeros((side, side), np.bool_)
    cut[top : top + height, left : left + width] = True
    return cut


def ramped(step: int, length: float) -> float:
    """Share of the weight at a step: rises as exp(−5 (1 − t)²) over `length` steps, then 1.

    Source: Tarvainen & Valpola 2017, appendix B.
    """
    return exp(-RAMP_STEEPNESS * (1 - step / length) ** 2) if step < length else 1.0
