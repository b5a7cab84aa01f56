"""What methods whose networks are one graph each answer alike where there is no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.methods.contract import Graph, Network

# In an exported bundle's `tiling`: the side of the tiles that its graphs are made for, and no others. Without
# it they take any size.
FIXED_SIDE = "fixed"


def as_network(graph: Graph, *, given: str, answer: str) -> Network:
    """A graph of one input and one output, by their names, as the network that `Inference` asks."""

    def network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return graph({given: inputs})[answer].astype(np.float32, copy=False)

    return network
