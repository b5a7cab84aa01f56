"""Embeddings of regions in the metric space, for each class of a bank.

Source: TL-SDD eqs. 2 and 3, Fig. 9. A class weights a region by its own feature weights (eq. 1), so that a
region has an embedding for each class; the diagonal reading compares each with that class's prototype.
Letters: R regions, K classes, D embedding, m width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blemish.arrays import Boxes, Floats, Pixels
from blemish.errors import BlemishError
from blemish.images.resize import with_shorter_side
from blemish.methods.capabilities import Embedded
from blemish.methods.common.outputs import checked_output
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.data.views import network_input
from blemish.methods.tlsdd.runtime.parts import Parts
from blemish.methods.tlsdd.settings import TlsddSettings


@dataclass(frozen=True)
class RegionEmbedder:
    """Embeds regions by a detector for the classes of a bank."""

    parts: Parts
    bank: ClassBank

    @property
    def prototypes(self) -> Floats:
        """Prototypes [K, D] of the bank's classes."""
        return self.bank.prototypes

    def embed(self, pixels: Pixels, boxes: Boxes) -> Embedded:
        """Embeddings of boxes [R, 4] of an image [H, W, 3].

        In an image larger than a tile, each box has a tile about it.
        """
        settings = self.parts.settings
        whole = (
            max(with_shorter_side((pixels.shape[0], pixels.shape[1]), settings.shorter_side)) <= settings.tile
        )
        groups = [boxes] if whole else [boxes[number : number + 1] for number in range(len(boxes))]
        regions = []
        for group in groups:
            if len(group):
                image, size, placed = network_input(pixels, group, settings, np.random.default_rng(0))
                regions.append(self.parts.regions_at(image, size, placed))
        unweighted = np.ones((1, settings.width), np.float32)
        return Embedded(self.under(regions, self.bank.class_vectors), self.under(regions, unweighted)[:, 0])

    def under(self, regions: Sequence[Any], vectors: Floats) -> Floats:
        """Embeddings of all regions under vectors [K, m], [R, K, D]."""
        if not regions:
            return np.zeros((0, len(vectors), self.parts.settings.embedding), np.float32)
        shape = (None, len(vectors), self.parts.settings.embedding)
        return checked_output(self.parts.embeddings(regions, vectors), shape, of="network 'detector'")


def refuse_no_space(settings: TlsddSettings) -> None:
    """Raise BlemishError where a linear classifier tells the classes apart, not distances."""
    if not settings.metric_head:
        raise BlemishError(
            f"The bundle must tell classes by distances (metric_head). Received: variant {settings.variant}, "
            "which has no metric space. Give a bundle of variant tl-sdd."
        )
