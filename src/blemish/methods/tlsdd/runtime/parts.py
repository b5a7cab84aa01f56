"""Parts of a detector that adding and embedding classes need, as functions of arrays by torch or graphs.

Letters: S supports, s side of one, R regions, K classes, m width, D embedding, F features; H, W
pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from blemish.arrays import Boxes, Floats, Size
from blemish.bundle.manifest import Manifest
from blemish.methods.capabilities import Exported
from blemish.methods.common import image_head
from blemish.methods.contract import Networks
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.class_bank.enrolled import EnrolledClasses
from blemish.methods.tlsdd.memory import image_shift_of
from blemish.methods.tlsdd.settings import TlsddSettings

if TYPE_CHECKING:
    from torch import nn


class Parts(Protocol):
    """Parts of a detector, by torch or graphs. Images are [1, 3, H, W] in [0, 1]."""

    @property
    def settings(self) -> TlsddSettings: ...

    def class_vectors(self, supports: Floats) -> Floats:
        """w of each support, [S, m]. supports: [S, 4, s, s], see `data.supports`"""

    def regions_at(self, images: Floats, size: Size, boxes: Boxes) -> Any:
        """Regions for `embeddings`, in whatever form they are kept in.

        images: whole cells; size: (h, w) of it without padding; boxes: [R, 4] in pixels
        """

    def embeddings(self, regions: Sequence[Any], vectors: Floats) -> Floats:
        """f of every region under each class's vector, [R, K, D]; without reweighting all K are the same.

        regions: parts that `regions_at` gave, R in all; vectors: [K, m]
        """

    def distance_scale(self, regions: Any, bank: ClassBank) -> float:
        """Factor of squared distances in the softmax. regions: any that `regions_at` gave"""

    def features(self, regions: Sequence[Any]) -> Floats:
        """Features of every region under no class's weights, [R, F]. regions: see `embeddings`"""

    def boxes_to_score(self, images: Floats, size: Size, bank: ClassBank) -> Boxes:
        """Boxes [R, 4] of an image that classes added without training are looked for in.

        images: whole cells; size: (h, w) of it without padding
        """

    def rows(self, images: Floats, bank: ClassBank, enrolled: EnrolledClasses | None = None) -> Floats:
        """`Detector.detect` for the classes of a bank and those behind them, [R, 4 + K]."""


def open_parts(
    networks: Mapping[str, nn.Module] | Exported, manifest: Manifest
) -> tuple[Parts, ClassBank, EnrolledClasses | None]:
    """Parts of a bundle, its class bank, and the classes behind it.

    The parts remember the maps of the images they see. The last is None where training kept no background.
    """
    if isinstance(networks, Exported):
        from blemish.methods.tlsdd.runtime.graph_detector import open_graph_detector, remembering

        detector, bank, enrolled = open_graph_detector(networks, manifest)
        return remembering(detector), bank, enrolled
    from blemish.methods.tlsdd.network.torch_parts import open_modules

    return open_modules(networks)


def open_head(networks: Mapping[str, nn.Module] | Exported, manifest: Manifest) -> Networks:
    """Image head of a bundle under its name; empty where it has none."""
    if image_shift_of(manifest) is None:
        return {}
    if isinstance(networks, Exported):
        return image_head.served_head(networks.graphs)
    from blemish.methods.tlsdd.network.torch_parts import head_network

    return {image_head.NAME: head_network(networks[image_head.NAME])}
