"""Export of MeDetection as a graph: a product's image to a logit and a map for each of its references.

Letters: R references, C channels, h, w sides of a map, s side of the square image.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from blemish.methods.capabilities import GraphPlan
from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.network.references import References
from blemish.methods.medetection.serving import ANSWERS, IMAGE, PAIRS, takes_image_alone
from blemish.methods.medetection.settings import MedetectionSettings


class OnPairs(nn.Module):
    """Network on the pixels of an image and its references, all in fp32."""

    def __init__(self, network: DifferenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pairs: Tensor) -> Tensor:
        """Logits and maps [R, 1 + h·w], as of `DifferenceNetwork`. pairs: [1, 3·R + 3, s, s] in [0, 1]"""
        return self.answers(*self.network.embed_pairs(pairs))

    def answers(self, reference_features: Tensor, image_features: Tensor) -> Tensor:
        """Output of `DifferenceNetwork` from stem features, without autocast, which ONNX does not know."""
        last = self.network.last_map(self.network.difference(reference_features, image_features))
        return self.network.with_map(self.network.head(self.network.pooled(last)), last, image_features)


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
        return self.answers(self.features, features)


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
