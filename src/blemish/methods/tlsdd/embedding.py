"""Where regions lie in the metric space, as the classes see them, and how far from each prototype.

Source: TL-SDD eqs. 2 and 3, Fig. 9. A class sees a region under its own feature weights (eq. 1), so that a
region has an embedding for each class; the diagonal reading compares each with that class's prototype.
Letters: R regions, K classes, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.images.resize import with_shorter_side
from blemish.methods.capabilities import Embedded
from blemish.methods.contract import Pixels
from blemish.methods.tlsdd.classes import Bank
from blemish.methods.tlsdd.parts import Floats, Parts
from blemish.methods.tlsdd.scenes import IGNORED
from blemish.methods.tlsdd.settings import Settings
from blemish.methods.tlsdd.views import View, batched, fitted


@dataclass(frozen=True)
class RegionEmbedder:
    """A detector's embeddings for the classes of a bank."""

    parts: Parts
    bank: Bank

    @property
    def prototypes(self) -> NDArray[np.float32]:
        """[K, D]"""
        return self.bank.prototypes

    def embed(self, pixels: Pixels, boxes: NDArray[np.float32]) -> Embedded:
        """Regions [R, 4] of an image [H, W, 3]. Where that is larger than a tile, each has one about it."""
        settings = self.parts.settings
        size = with_shorter_side((pixels.shape[0], pixels.shape[1]), settings.size)
        whole = max(size) <= settings.tile
        groups = [boxes] if whole else [boxes[number : number + 1] for number in range(len(boxes))]
        views = [view_of(pixels, group, settings) for group in groups if len(group)]
        regions = [self.regions_in(view) for view in views]
        as_it_is = np.ones((1, settings.width), np.float32)
        return Embedded(self.placed(regions, self.bank.class_vectors), self.placed(regions, as_it_is)[:, 0])

    def regions_in(self, view: View) -> Any:
        """The view's boxes."""
        height, width = view.pixels.shape[:2]
        return self.parts.regions_at(batched([view])[0], (height, width), view.boxes)

    def placed(self, regions: Sequence[Any], vectors: Floats) -> Floats:
        """Embeddings of all regions under vectors [K, m], [R, K, D]."""
        if not regions:
            return np.zeros((0, len(vectors), self.parts.settings.embedding), np.float32)
        return self.parts.embeddings(regions, vectors)


def view_of(pixels: Pixels, boxes: NDArray[np.float32], settings: Settings) -> View:
    """The boxes as the network gets them, not mirrored."""
    marked = View(pixels, boxes.astype(np.float32), np.full(len(boxes), IGNORED))
    return fitted(marked, settings, 0, np.random.default_rng(0))


def refuse_no_space(settings: Settings) -> None:
    if not settings.metric_head:
        raise BlemishError(
            f"The bundle must tell classes by distances (metric_head). Received: variant {settings.variant}, "
            "which has no metric space. Give a bundle of variant tl-sdd."
        )
