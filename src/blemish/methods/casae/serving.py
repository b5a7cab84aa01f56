"""The networks of CASAE made of its graphs, where there is no torch."""

from __future__ import annotations

from collections.abc import Mapping

from blemish.methods.common.graphs import as_network
from blemish.methods.contract import Graph, Networks

IMAGES, PROBABILITIES = "images", "probabilities"  # of the autoencoders
CROPS, LOGITS = "crops", "logits"  # of the compact CNN


def served(graphs: Mapping[str, Graph], *, types: bool) -> Networks:
    """The cascade, and where types are told the compact CNN. Raises KeyError for a graph that lacks."""
    networks = {"cascade": as_network(graphs["cascade"], input_name=IMAGES, output_name=PROBABILITIES)}
    if types:
        networks["types"] = as_network(graphs["types"], input_name=CROPS, output_name=LOGITS)
    return networks
