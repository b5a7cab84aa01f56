"""The graph of MeDetection: a product's image to one verdict and map against each of its references.

Letters: R references, C channels, h, w sides of a map, s side of the square image.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blemish.methods.contract import GraphPlan
from blemish.methods.medetection.network import DifferenceNetwork
from blemish.methods.medetection.references import References
from blemish.methods.medetection.serving import ANSWERS, IMAGE, PAIRS, takes_image_alone
from blemish.methods.medetection.settings import Settings


class AgainstStored(nn.Module):
    """The network with the stem's features of the references, so that the stem sees the image alone.

    pictures: [R, 3, s, s] uint8; not used without a Siamese stem
    """

    features: Tensor

    def __init__(self, network: DifferenceNetwork, pictures: Tensor) -> None:
        super().__init__()
        self.network = network
        with torch.inference_mode():
            features = network.embed(pictures.float() / 255) if network.siamese else torch.zeros(0)
        self.register_buffer("features", features.clone())

    def forward(self, image: Tensor) -> Tensor:
        """image: [1, 3, s, s] in [0, 1]; returns: [R, 1 + h·w], see `DifferenceNetwork.forward`"""
        features = self.network.embed(image)
        difference = (self.features - features).abs() if self.network.siamese else features
        return self.network.answers(difference)


def graph_plans(modules: Mapping[str, nn.Module], settings: Settings) -> dict[str, GraphPlan]:
    """One graph, of no free axis: one image and so many references as are averaged."""
    network, references = modules["network"].eval(), modules["references"]
    assert isinstance(network, DifferenceNetwork) and isinstance(references, References)
    pictures = references.pictures[: settings.references]
    side = settings.size
    if takes_image_alone(settings):
        image = torch.zeros(1, 3, side, side)
        return {"network": GraphPlan(AgainstStored(network, pictures), {IMAGE: image}, (ANSWERS,), {})}
    pairs = torch.zeros(1, 3 * len(pictures) + 3, side, side)
    return {"network": GraphPlan(network, {PAIRS: pairs}, (ANSWERS,), {})}
