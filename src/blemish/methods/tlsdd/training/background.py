"""Background that added classes are told from: a mean over what training images show, and some of it.

A row of `closed_form` is M⁻¹g, so that no region scores above √(zᵀM⁻¹z · gᵀM⁻¹g): those of the highest
zᵀM⁻¹z, the leverage of a regression, are the ones that a class to come may be found in by mistake. Letters: R
regions, F features, z those of a region and a 1, [F + 1].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from blemish.arrays import Floats, Pixels
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.class_bank.closed_form import Moments, ridge_of, with_one
from blemish.methods.tlsdd.class_bank.enrolled import BackgroundSample
from blemish.methods.tlsdd.class_bank.entries import image_regions
from blemish.methods.tlsdd.class_bank.regions import ImageRegions
from blemish.methods.tlsdd.runtime.parts import Parts

SAMPLED_IMAGES, SAMPLED_REGIONS = 40, 50  # at most, and of each of them


@dataclass(frozen=True)
class Background:
    """Background of a detector. mean: [F + 1, F + 1], of zzᵀ over `regions` regions; sample: some of them"""

    mean: Floats
    regions: int
    sample: BackgroundSample


def background_of(
    parts: Parts, bank: ClassBank, images: Iterable[Pixels], generator: Generator
) -> Background:
    """Background over the boxes that classes are looked for in.

    images: [H, W, 3], one or more; known defects on them count, since an added class is none of those
    """
    total, first = Moments.none(parts.settings.hidden), list[ImageRegions]()
    for pixels in images:
        regions = image_regions(parts, pixels, (), bank, generator)
        total += Moments.of_negatives(regions.features)
        if len(first) < SAMPLED_IMAGES:
            first.append(regions)
    return Background(total.negatives, total.num_others, sample_of(first, total.negatives))


def sample_of(images: list[ImageRegions], mean: Floats) -> BackgroundSample:
    """Regions of the highest leverage of each image. mean: [F + 1, F + 1], of zzᵀ"""
    inverse = np.linalg.inv(mean + ridge_of(mean))
    features, boxes = [], []
    for image in images:
        extended = with_one(image.features)
        leverage = np.einsum("rf,fg,rg->r", extended, inverse, extended, optimize=True)
        chosen = np.argsort(-leverage, kind="stable")[:SAMPLED_REGIONS]
        features.append(image.features[chosen].astype(np.float16))
        boxes.append(image.boxes[chosen].astype(np.float32))
    return BackgroundSample(np.stack(features), np.stack(boxes))
