"""Export of MeDetection as a graph: a product's image to a logit and a map for each of its references.

Letters: R references, C channels, h, w sides of a map, s side of the square image.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blemish.methods.capabilities import GraphPlan
from blemish.methods.medetection.network.difference import PYRAMID, DifferenceNetwork
from blemish.methods.medetection.network.references import References
from blemish.methods.medetection.serving import ANSWERS, IMAGE, PAIRS, takes_image_alone
from blemish.methods.medetection.settings import MedetectionSettings


class OnPairs(nn.Module):
    """Network on the pixels of an image and its references, with its pooling written as plain maxima."""

    def __init__(self, network: DifferenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pairs: Tensor) -> Tensor:
        """Logits and maps [R, 1 + h·w], as of `DifferenceNetwork`. pairs: [1, 3·R + 3, s, s] in [0, 1]"""
        return self.answers(self.network.difference(*self.network.embed_pairs(pairs)))

    def answers(self, difference: Tensor) -> Tensor:
        last = self.network.last_map(difference)
        return self.network.with_cam(self.network.head(pyramid(last)), last)


class OnImage(OnPairs):
    """Network on an image alone, compared with stored stem features of the references.

    references: [R, 3, s, s] uint8; not used without a Siamese stem
    """

    features: Tensor

    def __init__(self, network: DifferenceNetwork, references: Tensor) -> None:
        super().__init__(network)
        with torch.no_grad():
            features = network.embed(references.float() / 255) if network.siamese else torch.zeros(0)
        self.register_buffer("features", features)

    def forward(self, image: Tensor) -> Tensor:
        """Logits and maps, [R, 1 + h·w]. image: [1, 3, s, s] in [0, 1]"""
        features = self.network.embed(image)
        return self.answers(self.network.difference(self.features, features))


def pyramid(last: Tensor) -> Tensor:
    """Pool a map of fixed sides as `DifferenceNetwork.pooled`; ONNX has no operator for adaptive pooling.

    last: [R, C, h, w]; returns: [R, 21·C]
    """
    levels = []
    for side in PYRAMID:
        rows, columns = (bins(length, side) for length in last.shape[2:])
        maxima = [last[:, :, row, column].amax((2, 3)) for row in rows for column in columns]
        levels.append(torch.stack(maxima, 2).flatten(1))
    return torch.cat(levels, 1)


def bins(length: int, count: int) -> list[slice]:
    """Cells of each bin of adaptive pooling along an axis; neighbours overlap where it does not divide."""
    return [slice(n * length // count, -(-(n + 1) * length // count)) for n in range(count)]


def graph_plans(modules: Mapping[str, nn.Module], settings: MedetectionSettings) -> dict[str, GraphPlan]:
    """Plan of the one graph, without free axes: an image and as many references as are averaged."""
    network, references = modules["network"].eval(), modules["references"]
    assert isinstance(network, DifferenceNetwork) and isinstance(references, References)
    kept = references.pictures[: settings.references]
    side = settings.size
    if takes_image_alone(settings):
        image = torch.zeros(1, 3, side, side)
        return {"network": GraphPlan(OnImage(network, kept), {IMAGE: image}, (ANSWERS,), {})}
    pairs = torch.zeros(1, 3 * len(kept) + 3, side, side)
    return {"network": GraphPlan(OnPairs(network), {PAIRS: pairs}, (ANSWERS,), {})}
