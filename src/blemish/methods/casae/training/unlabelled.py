"""Images that training learns from, with and without masks, and the pairs drawn of unlabelled ones.

Each unlabelled image is drawn twice with one warp: plain for the teacher, under another light for the
student, in whose images rectangles are then exchanged (see `teacher`). Letters: U images; C channels; s side.
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
from blemish.images.photometric import photometric_jitter
from blemish.images.tiling import planes
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.casae.training.sources import UNLABELLED, framed
from blemish.methods.common.warps import draw_warp

CUT_AREA = 0.5  # of a rectangle that changes places, as a share of the image
RAMP_STEEPNESS = 5.0  # Tarvainen & Valpola's; it starts at e⁻⁵


@dataclass(frozen=True)
class TrainingImages:
    """Images that training learns from.

    labelled: with their masks; hidden: training images stripped of their masks; foreign: images of a folder
    outside the dataset; sentences: for log and report, none where all training images are learned from
    """

    labelled: tuple[Sample, ...]
    hidden: tuple[Sample, ...] = ()
    foreign: tuple[Sample, ...] = ()
    sentences: tuple[str, ...] = ()

    @property
    def unlabelled(self) -> tuple[Sample, ...]:
        return self.hidden + self.foreign


def select_training_images(dataset: Dataset, settings: CasaeSettings, seed: int) -> TrainingImages:
    """Select the images that the settings let training learn from; none unlabelled with unlabelled_weight 0.

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
    images = TrainingImages(labelled, hidden, foreign)
    return replace(images, sentences=sentences_on(images, whole))


def sentences_on(images: TrainingImages, whole: Dataset) -> tuple[str, ...]:
    """Sentence on how many images are learned from with and without masks, and on classes without a mask.

    whole: the outlined images of split "train"
    """
    masked, without = len(images.labelled), len(images.unlabelled)
    if masked == len(whole) and not without:
        return ()
    shown = replace(whole, samples=images.labelled).class_counts
    missing = [name for name, count in whole.class_counts.items() if count and not shown[name]]
    text = f"Of {len(whole)} training images {masked} are learned from with their masks, and "
    text += f"{without} images without." if without else "no others."
    return (text + (f" No mask of class {', '.join(missing)} is among them." if missing else ""),)


@dataclass(frozen=True)
class UnlabelledSource:
    """Draws unlabelled images in pairs. read: sample to pixels"""

    settings: CasaeSettings
    read: Callable[[Sample], Pixels]
    samples: Sequence[Sample]
    seed: int

    def draw(self, step: int, rank: int) -> dict[str, Tensor]:
        """Batch for `teacher.consistency`.

        plain, jittered: [U, C, s, s] about [0, 1]; cut: [U, 1, s, s], true where another image's part goes;
        ramp: share of the weight at this step
        """
        generator = np.random.default_rng([self.seed, UNLABELLED, step, rank])
        drawn = [self.draw_one(generator) for _ in range(self.settings.unlabelled_batch)]
        cuts = [draw_cut(self.settings.training_side, generator) for _ in drawn]
        return {
            "plain": torch.from_numpy(np.stack([plain for plain, _ in drawn])),
            "jittered": torch.from_numpy(np.stack([jittered for _, jittered in drawn])),
            "cut": torch.from_numpy(np.stack(cuts)[:, None]),
            "ramp": torch.tensor(ramped(step, self.settings.ramp * self.settings.steps)),
        }

    def draw_one(self, generator: Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Image [C, s, s] of a warp, as it is and under another light."""
        sample = self.samples[int(generator.integers(len(self.samples)))]
        pixels, center = framed(self.read(sample), None, self.settings, generator)
        warp = draw_warp(self.settings.training_side, self.settings, generator)
        image = warp.image(pixels, center)
        return planes(image), photometric_jitter(image, generator, self.settings)


def draw_cut(side: int, generator: Generator) -> NDArray[np.bool_]:
    """Draw a mask [side, side] of a rectangle of about half the area."""
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
