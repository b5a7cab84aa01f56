"""Training of the head on features: marked defects, and good patches that noise makes defective.

Source: Rolih, Fučka & Skočaj 2024 (SuperSimpleNet), sections 3.3 to 3.5: noise in blobs on good patches
alone, focal and truncated L1 loss. Deviations: half of the images get noise, not a copy of each; patches
whose label is not known count for nothing.
Letters: B images of a batch, D dimensions, h, w places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.dataset.samples import Sample
from blemish.methods.contract import Stage
from blemish.methods.memory.network.head import DefectHead
from blemish.methods.memory.settings import MemorySettings
from blemish.methods.memory.training.store import FeatureStore
from blemish.methods.memory.training.targets import DEFECTIVE, GOOD, UNKNOWN, Targets
from blemish.nn.optimisation import adamw, scheduled

Number = TypeVar("Number", bound=np.generic)

CROP = 32  # places of a side of a crop, where images keep their resolution
MARGIN = 0.5  # log odds beyond which the truncated L1 loss is satisfied
FOCUS = 2.0  # exponent of the focal loss
BLOB = 4  # places of noise that belong together, about
SHARE = 0.5  # of a batch that is defective, and of images that get noise
HEAD_DRAWS = 3  # kind of random draws, see `good_patches`


@dataclass(frozen=True)
class HeadImages:
    """Draws batches of features with their targets. good, defective: samples; targets: by id of a sample"""

    settings: MemorySettings
    store: FeatureStore
    good: Sequence[Sample]
    defective: Sequence[Sample]
    targets: Mapping[str, Targets]

    def batch(self, step: int, rank: int) -> dict[str, Tensor]:
        """Batch for `head_loss`.

        features: [B, D, h, w]; targets: [B, h, w]; defective: [B], 1, 0, or −1 where a crop leaves it open;
        noisy: [B, h, w], the places that get noise
        """
        generator = np.random.default_rng([self.store.trainer.seed, HEAD_DRAWS, step, rank])
        rows = [self.drawn(number, generator) for number in range(self.settings.head_batch)]
        names = ("features", "targets", "defective", "noisy")
        return {
            name: torch.from_numpy(np.stack(parts))
            for name, parts in zip(names, zip(*rows, strict=True), strict=True)
        }

    def drawn(self, number: int, generator: Generator) -> tuple[Any, ...]:
        """Draw one image of a batch, defective ones first."""
        pool = self.defective if number < SHARE * self.settings.head_batch else self.good
        sample = pool[int(generator.integers(len(pool)))]
        features, targets = self.store.of(sample), self.targets[sample.id]
        whole = self.settings.size is not None
        if not whole:
            features, targets = crop(features, targets, generator)
        turned = bool(generator.integers(2)), bool(generator.integers(2))
        features, targets = mirrored(features, turned), mirrored(targets, turned)
        noisy = blobs(targets.shape, self.settings.noise_share, generator) & (targets == GOOD)
        noisy &= generator.random() < SHARE
        seen = bool((targets == DEFECTIVE).any() or noisy.any())
        defective = DEFECTIVE if seen or (whole and sample.is_defective) else GOOD
        if not whole and not seen and (targets == UNKNOWN).any():
            defective = UNKNOWN
        return features, targets, np.int64(defective), noisy


def mirrored(values: NDArray[Number], turned: tuple[bool, bool]) -> NDArray[Number]:
    """Values [..., h, w] mirrored along each axis that is named."""
    down, right = (slice(None, None, -1) if each else slice(None) for each in turned)
    return np.ascontiguousarray(values[..., down, right])


def crop(
    features: NDArray[np.float32], targets: Targets, generator: Generator
) -> tuple[NDArray[np.float32], Targets]:
    """Crop of at most `CROP` places a side, around a defective one where there is one; repeated to that side
    where the image is smaller.
    """
    short = [(0, max(0, CROP - side)) for side in targets.shape]
    features, targets = np.pad(features, [(0, 0), *short], "wrap"), np.pad(targets, short, "wrap")
    rows, columns = np.nonzero(targets == DEFECTIVE)
    if len(rows):
        place = int(generator.integers(len(rows)))
        centre = np.array([rows[place], columns[place]]) + generator.integers(-CROP // 4, CROP // 4 + 1, 2)
    else:
        centre = generator.integers(0, targets.shape)
    top, left = np.clip(centre - CROP // 2, 0, np.array(targets.shape) - CROP)
    window = slice(top, top + CROP), slice(left, left + CROP)
    return features[:, *window], targets[window]


def blobs(size: tuple[int, ...], share: float, generator: Generator) -> NDArray[np.bool_]:
    """Draw a mask [h, w] of blobs of about `BLOB` places that cover about a share of it."""
    coarse = generator.standard_normal([-(-side // BLOB) + 1 for side in size], np.float32)
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(coarse)[None, None], size=tuple(size), mode="bilinear", align_corners=True
    )[0, 0].numpy()
    return smooth > np.quantile(smooth, 1 - share)


def head_stage(head: DefectHead, images: HeadImages) -> Stage:
    """Optimisation of the head."""
    settings = images.settings
    return Stage(
        name="head",
        network=head,
        steps=settings.head_steps,
        batch=images.batch,
        loss=lambda _, batch: head_loss(head, batch, settings.latent_noise),
        optimiser=lambda parameters: adamw(parameters, weight_decay=settings.head_weight_decay),
        learning_rate=scheduled(settings.head_learning_rate, steps=settings.head_steps, warmup=10),
        gradient_clip=1.0,
        cache=images.store.use,
    )


def head_loss(head: nn.Module, batch: Mapping[str, Tensor], sigma: float) -> Tensor:
    """Loss of places and images, a scalar. batch: see `HeadImages.batch`; sigma: of the noise"""
    assert isinstance(head, DefectHead)
    adapted = head.adaptor(batch["features"])
    noisy = batch["noisy"][:, None]
    adapted = adapted + sigma * torch.randn_like(adapted) * noisy
    targets = torch.where(batch["noisy"], DEFECTIVE, batch["targets"].long())
    places, image = head.log_odds(adapted)
    of_places = truncated_l1(places[:, 0], targets) + focal(places[:, 0], targets)
    return of_places + focal(image[:, 0], batch["defective"])


def truncated_l1(log_odds: Tensor, targets: Tensor) -> Tensor:
    """Mean over good and over defective places of how far log odds fall short of the margin; a scalar."""
    parts = [
        (MARGIN + sign * log_odds[targets == label]).clamp(min=0).mean()
        for label, sign in ((GOOD, 1.0), (DEFECTIVE, -1.0))
        if (targets == label).any()
    ]
    return torch.stack(parts).sum() if parts else log_odds.sum() * 0


def focal(log_odds: Tensor, targets: Tensor) -> Tensor:
    """Focal loss, mean over what is known; a scalar. Source: Lin et al. 2017, eq. 4, without α."""
    known = targets != UNKNOWN
    if not known.any():
        return log_odds.sum() * 0
    values, truth = log_odds[known].float(), targets[known].float()
    cross_entropy = F.binary_cross_entropy_with_logits(values, truth, reduction="none")
    surprise = 1 - torch.exp(-cross_entropy)
    return (surprise**FOCUS * cross_entropy).mean()
