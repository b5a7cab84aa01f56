"""The networks of MeDetection made of its graph and the references, where there is no torch.

With references that stay as they are the graph holds their features and is given the image alone; without a
Siamese stem there are none. Aligned ones move with every image, so there the graph is given all pixels.
Letters: R references, s side.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.store import Tensors
from blemish.methods.contract import Graph, Network, Networks
from blemish.methods.medetection.settings import Settings

IMAGE, PAIRS, ANSWERS = "image", "pairs", "answers"


def takes_image_alone(settings: Settings) -> bool:
    """Whether the graph is given the image alone, and not the references before it."""
    return settings.align == "none" or not settings.siamese


def served(graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], settings: Settings) -> Networks:
    """What is asked with pairs, and the pictures of the references."""
    alone = takes_image_alone(settings)
    return {
        "network": pair_network(graphs["network"], image_alone=alone),
        "references": reference_network(tensors["references"]["pictures"]),
    }


def pair_network(graph: Graph, *, image_alone: bool) -> Network:
    """[1, 3·R + 3, s, s], an image behind its references, to [R, 1 + c·c]."""

    def network(pairs: NDArray[np.float32]) -> NDArray[np.float32]:
        given = {IMAGE: np.ascontiguousarray(pairs[:, -3:])} if image_alone else {PAIRS: pairs}
        return graph(given)[ANSWERS].astype(np.float32, copy=False)

    return network


def reference_network(pictures: NDArray[np.generic]) -> Network:
    """All pictures as float32 in 0…255, [R, 3, s, s], whatever is given."""

    def network(_asked: NDArray[np.float32]) -> NDArray[np.float32]:
        return pictures.astype(np.float32)

    return network
