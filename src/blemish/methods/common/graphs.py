"""Exported graphs as the networks that an inference half calls, without torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.methods.contract import Graph, Network

# Key of an exported bundle's `tiling`: side of the only tiles that its graphs take. Without it they take any.
FIXED_SIDE = "fixed"


def as_network(graph: Graph, *, input_name: str, output_name: str) -> Network:
    """Wrap a graph of one input and one output as a network: an array in, its float32 output."""

    def network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return graph({input_name: inputs})[output_name].astype(np.float32, copy=False)

    return network
