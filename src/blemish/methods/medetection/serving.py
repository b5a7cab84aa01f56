"""Networks of an exported MeDetection bundle, made of its graph and the references without torch.

References that are never moved are stored in the graph as features, and it takes the image alone, as it does
without a Siamese stem. Aligned references move with every image, so that graph takes all pixels.
Letters: R references, s side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.store import Tensors
from blemish.methods.contract import Graph, Network, Networks
from blemish.methods.medetection.settings import MedetectionSettings

IMAGE, PAIRS, ANSWERS = "image", "pairs", "answers"


def takes_image_alone(settings: MedetectionSettings) -> bool:
    """True where the graph takes the image alone, without the references before it."""
    return settings.align == "none" or not settings.siamese


def served(
    graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], settings: MedetectionSettings
) -> Networks:
    """Build the networks that inference calls: that of pairs, and that of the references."""
    references = tensors["references"]["pictures"]
    return {
        "network": pair_network(graphs["network"], image_alone=takes_image_alone(settings)),
        "references": lambda _input: references.astype(np.float32),
    }


def pair_network(graph: Graph, *, image_alone: bool) -> Network:
    """Network from an image behind its references, [1, 3·R + 3, s, s], to [R, 1 + c·c]."""

    def network(pairs: NDArray[np.float32]) -> NDArray[np.float32]:
        inputs = {IMAGE: np.ascontiguousarray(pairs[:, -3:])} if image_alone else {PAIRS: pairs}
        answers: NDArray[Any] = graph(inputs)[ANSWERS]
        return answers

    return network
