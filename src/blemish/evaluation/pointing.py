"""Pointing accuracy: how often the hottest pixel of an image's heat map lies in a marked defect.

For methods that judge images and show the evidence in a map. Source: Zhang et al. 2018, "Top-down neural
attention by excitation backprop", the pointing game, here without its tolerance of 15 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.masks import Instance
from blemish.evaluation.ignored import drawn
from blemish.evaluation.pixel import ratio


@dataclass(frozen=True)
class Pointing:
    """Place where the map of a defective image is hottest.

    hit: on a marked defect, or in its box where only that is known; in_box: in the box of a marked defect
    covered: share of the image that is marked, the chance of a blind hit; rejected: the image was called NG
    """

    hit: bool
    in_box: bool
    covered: float
    rejected: bool


def pointed(
    heat: NDArray[np.generic], truth: Sequence[Instance], ignored: Sequence[Instance] = (), *, rejected: bool
) -> Pointing | None:
    """Compare the hottest pixel of a map with the truth; a map that is nowhere above 0 points nowhere.

    heat: [H, W]; truth: at least one defect, in the same pixels; rejected: the image was called NG
    returns: None where the pixel lies in an ignored region and in no marked defect
    """
    size = (heat.shape[0], heat.shape[1])
    marked, boxed = drawn(truth, size), drawn([replace(each, mask=None) for each in truth], size)
    row, column = np.unravel_index(int(np.argmax(heat)), size)
    points = bool(heat[row, column] > 0)
    if points and not marked[row, column] and drawn(ignored, size)[row, column]:
        return None
    return Pointing(
        hit=points and bool(marked[row, column]),
        in_box=points and bool(boxed[row, column]),
        covered=float(marked.mean()),
        rejected=rejected,
    )


def pointing_metrics(images: Sequence[Pointing]) -> dict[str, Any] | None:
    """The "pointing" part of metrics.json; None without an image.

    all: share of hits among `of` defective images with a marked place; ng: share among the `of_ng` of them
        that were called NG, None without any; in_box: share in a marked defect's box; chance: of a blind hit
    """
    if not images:
        return None
    rejected = [image for image in images if image.rejected]
    return {
        "all": ratio(sum(image.hit for image in images), len(images)),
        "of": len(images),
        "in_box": ratio(sum(image.in_box for image in images), len(images)),
        "ng": ratio(sum(image.hit for image in rejected), len(rejected)),
        "of_ng": len(rejected),
        "chance": float(np.mean([image.covered for image in images])),
    }
