"""Exported graphs as the networks that an inference half calls, without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.methods.contract import Graph, Network

# Key of an exported bundle's `tiling`: side of the only tiles that its graphs take. Without it they take any.
FIXED_SIDE = "fixed"


def as_network(graph: Graph, *, input_name: str, output_name: str) -> Network:
    """Wrap a graph of one input and one output as a network: an array in, an array out."""

    def network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        output: NDArray[Any] = graph({input_name: inputs})[output_name]
        return output

    return network
