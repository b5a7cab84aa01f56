"""Image score of a trained map: fitted on validation images, with a head that learned from image labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from blemish.arrays import Pixels
from blemish.dataset.outlined import holds_ignored
from blemish.dataset.quality.near_duplicates import SmallImage, similarity_groups, small_image
from blemish.dataset.samples import Sample
from blemish.errors import UnavailableError
from blemish.methods.common.folds import stratified_folds, usable_groups
from blemish.methods.common.image_head import NAME, head_log_odds, squeezed
from blemish.methods.common.map_score import MapScore, MapScoreFitter
from blemish.methods.contract import Trainer
from blemish.nn.image_head import ImageHead, fit_image_head, new_image_head

MAX_IMAGES = 1000  # of the training images, evenly spread over both kinds
MAX_VIEWS = 1600  # of these images and their mirror images
MIRRORED = (slice(None), slice(None, None, -1))  # left to right; the head itself looks from above and below


class ScoreSettings(Protocol):
    """Settings that say how images are scored; see the settings of severity and CASAE."""

    @property
    def image_score(self) -> str: ...
    @property
    def image_score_images(self) -> int: ...


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
    samples: Sequence[Sample], settings: ScoreSettings, trainer: Trainer, *, channels: int | None
) -> ImageHead | None:
    """Head that learned from the samples' labels, of which a place is not asked, and their mirror images.

    None where none is wanted, where there are too few images of either kind, and, with a note, where the
    encoder's weights cannot be had.
    """
    if settings.image_score != "learned":
        return None
    kinds = [
        [each for each in samples if each.is_defective is kind and not holds_ignored(each)]
        for kind in (True, False)
    ]
    if min(map(len, kinds)) < settings.image_score_images:
        return None
    try:
        head = new_image_head("imagenet")
    except UnavailableError as error:
        trainer.note(
            f"The image score has no head for the whole image, as there is no pretrained encoder. {error}"
        )
        return None
    chosen = [each for kind in kinds for each in kind[:: -(-len(kind) // (MAX_IMAGES // 2))]]
    network = trainer.networks({"features": head.features})["features"]
    views = MIRRORED[: max(1, MAX_VIEWS // len(chosen))]
    features, small_images = [], []
    for sample in trainer.track(chosen, "learning the image score"):
        pixels = trainer.read(sample, channels)
        whole = squeezed(pixels)
        features += [network(np.ascontiguousarray(whole[..., across])) for across in views]
        small_images.append(small_image(pixels))
    defective = np.array([sample.is_defective for sample in chosen])
    folds = stratified_folds(defective, usable_groups(defective, similarity_groups(small_images)))
    fit_image_head(
        head,
        np.concatenate(features),
        defective.repeat(len(views)),
        folds=folds.repeat(len(views)),
    )
    return head
