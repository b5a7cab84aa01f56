"""Log odds of a defect by the image as a whole, from a head on an encoder; numpy alone.

The image is squeezed to a square, so that its cost does not depend on the image's size. Letters: S side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.dataset.outlined import holds_ignored
from blemish.dataset.samples import Dataset, Sample
from blemish.images.resize import resized
from blemish.images.tiling import planes
from blemish.methods.common.graphs import as_network
from blemish.methods.contract import Graph, Networks

NAME = "image"  # of the network, among those of a method
STAGE, BASE_STAGE = "image-score", "base-image-score"  # of its training; that of a base bundle
STEPS, LEAST_STEPS = "image_score_steps", 150  # setting of the stage's steps; fewer are of little use
REHEARSED_IMAGES = 5  # of each kind that a rehearsal's head learns from
IMAGES, LOG_ODDS = "images", "log_odds"  # of its graph
SIDE = 224  # S, as of the images that the encoder was trained on


class ScoreSettings(Protocol):
    """Settings that say how images are scored; see those of the methods that have a head."""

    @property
    def image_score(self) -> str: ...
    @property
    def image_score_images(self) -> int: ...
    @property
    def image_score_steps(self) -> int: ...


def head_log_odds(pixels: Pixels, networks: Networks) -> float:
    """Log odds that an image is defective. networks: with the head"""
    return float(networks[NAME](squeezed(pixels))[0, 0])


def learned_from(
    samples: Sequence[Sample], settings: ScoreSettings
) -> tuple[list[Sample], list[Sample]] | None:
    """Defective and clean samples that a head learns from; None where none is wanted, or there are too few.

    Those with crowd or difficult regions are left out: nobody says whether they are defects.
    """
    if settings.image_score != "learned":
        return None
    known = [sample for sample in samples if not holds_ignored(sample)]
    defective, clean = ([each for each in known if each.is_defective is kind] for kind in (True, False))
    enough = min(len(defective), len(clean)) >= settings.image_score_images
    return (defective, clean) if enough else None


def rehearsed_images(dataset: Dataset, settings: ScoreSettings) -> int:
    """`image_score_images` for a rehearsal on some of the dataset's images: few, where all are enough."""
    learns = learned_from(dataset.split("train").samples, settings) is not None
    return REHEARSED_IMAGES if learns else settings.image_score_images


def served_head(graphs: Mapping[str, Graph]) -> Networks:
    """Build the head from its graph. Raises KeyError where it is missing."""
    return {NAME: as_network(graphs[NAME], input_name=IMAGES, output_name=LOG_ODDS)}


def squeezed(pixels: Pixels) -> NDArray[np.float32]:
    """Image as the head takes it, [1, C, S, S] in [0, 1]."""
    return planes(resized(pixels, (SIDE, SIDE)))[None]
