"""The networks of CASAE made of its graphs, where there is no torch."""

from __future__ import annotations

from collections.abc import Mapping

from blemish.methods.contract import Graph, Networks
from blemish.methods.served import as_network

IMAGES, PROBABILITIES = "images", "probabilities"  # of the autoencoders
CROPS, LOGITS = "crops", "logits"  # of the compact CNN


def served(graphs: Mapping[str, Graph], *, types: bool) -> Networks:
    """The cascade, and where types are told the compact CNN. Raises KeyError for a graph that lacks."""
    networks = {"cascade": as_network(graphs["cascade"], given=IMAGES, answer=PROBABILITIES)}
    if types:
        networks["types"] = as_network(graphs["types"], given=CROPS, answer=LOGITS)
    return networks
