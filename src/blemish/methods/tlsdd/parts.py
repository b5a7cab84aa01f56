"""What enrolment and embedding need of a detector, as functions of arrays: run by torch, or as graphs.

Letters: S supports, s side of one, R regions, K classes, m width, D embedding; H, W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.manifest import Manifest
from blemish.methods.capabilities import Exported
from blemish.methods.tlsdd.classes import Bank
from blemish.methods.tlsdd.settings import Settings

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]


class Parts(Protocol):
    """A detector's parts. Where an image is needed it is [1, 3, H, W] in [0, 1]."""

    @property
    def settings(self) -> Settings: ...

    def class_vectors(self, supports: Floats) -> Floats:
        """w of each support, [S, m]. supports: [S, 4, s, s], see `supports`"""

    def regions_at(self, images: Floats, size: tuple[int, int], boxes: Floats) -> Any:
        """Regions for `embeddings`, in whatever form they are kept in.

        images: whole cells; size: (h, w) of it without padding; boxes: [R, 4] in pixels
        """

    def embeddings(self, regions: Sequence[Any], vectors: Floats) -> Floats:
        """f of every region under each class's vector, [R, K, D]; without reweighting all K are the same.

        regions: parts that `regions_at` gave, R in all; vectors: [K, m]
        """

    def distance_scale(self, regions: Any, bank: Bank) -> float:
        """What squared distances are multiplied by in the softmax. regions: any that `regions_at` gave"""

    def rows(self, images: Floats, bank: Bank) -> Floats:
        """`Detector.detect` for the classes of a bank, [R, 4 + K]."""


def opened(networks: Mapping[str, nn.Module] | Exported, manifest: Manifest) -> tuple[Parts, Bank]:
    """Parts and class bank of a bundle, that remember the maps of the pictures they see."""
    if isinstance(networks, Exported):
        from blemish.methods.tlsdd.served import opened_graphs, remembering

        detector, bank = opened_graphs(networks, manifest)
        return remembering(detector), bank
    from blemish.methods.tlsdd.torch_parts import opened_modules

    return opened_modules(networks)
