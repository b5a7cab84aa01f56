"""The graph of MeDetection: a product's image to one verdict and map against each of its references.

Letters: R references, C channels, h, w sides of a map, s side of the square image.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blemish.methods.capabilities import GraphPlan
from blemish.methods.medetection.network import PYRAMID, DifferenceNetwork
from blemish.methods.medetection.references import References
from blemish.methods.medetection.serving import ANSWERS, IMAGE, PAIRS, takes_image_alone
from blemish.methods.medetection.settings import Settings


class OnPairs(nn.Module):
    """The network on pixels of an image and its references, its pooling written with plain maxima."""

    def __init__(self, network: DifferenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pairs: Tensor) -> Tensor:
        """pairs: [1, 3·R + 3, s, s] in [0, 1]; returns: [R, 1 + h·w], see `DifferenceNetwork.forward`"""
        return self.answers(self.network.difference(*self.network.embed_pairs(pairs)))

    def answers(self, difference: Tensor) -> Tensor:
        last = self.network.last_map(difference)
        return self.network.with_cam(self.network.head(pyramid(last)), last)


class OnImage(OnPairs):
    """The same on an image alone, beside the stem's features of the references, which are stored.

    pictures: [R, 3, s, s] uint8; of no effect without a Siamese stem
    """

    features: Tensor

    def __init__(self, network: DifferenceNetwork, pictures: Tensor) -> None:
        super().__init__(network)
        with torch.no_grad():
            features = network.embed(pictures.float() / 255) if network.siamese else torch.zeros(0)
        self.register_buffer("features", features)

    def forward(self, image: Tensor) -> Tensor:
        """image: [1, 3, s, s] in [0, 1]; returns: see `OnPairs.forward`"""
        features = self.network.embed(image)
        return self.answers(self.network.difference(self.features, features))


def pyramid(last: Tensor) -> Tensor:
    """`DifferenceNetwork.pooled` of a map of fixed sides: ONNX has no operator for its adaptive pooling.

    last: [R, C, h, w]; returns: [R, 21·C]
    """
    levels = []
    for side in PYRAMID:
        rows, columns = (bins(length, side) for length in last.shape[2:])
        maxima = [last[:, :, row, column].amax((2, 3)) for row in rows for column in columns]
        levels.append(torch.stack(maxima, 2).flatten(1))
    return torch.cat(levels, 1)


def bins(length: int, count: int) -> list[slice]:
    """Cells of each bin of adaptive pooling along an axis; neighbours share one where it does not divide."""
    return [slice(one * length // count, -(-(one + 1) * length // count)) for one in range(count)]


def graph_plans(modules: Mapping[str, nn.Module], settings: Settings) -> dict[str, GraphPlan]:
    """One graph, of no free axis: one image and so many references as are averaged."""
    network, references = modules["network"].eval(), modules["references"]
    assert isinstance(network, DifferenceNetwork) and isinstance(references, References)
    pictures = references.pictures[: settings.references]
    side = settings.size
    if takes_image_alone(settings):
        image = torch.zeros(1, 3, side, side)
        return {"network": GraphPlan(OnImage(network, pictures), {IMAGE: image}, (ANSWERS,), {})}
    pairs = torch.zeros(1, 3 * len(pictures) + 3, side, side)
    return {"network": GraphPlan(OnPairs(network), {PAIRS: pairs}, (ANSWERS,), {})}
