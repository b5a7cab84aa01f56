"""Networks of an exported CASAE bundle, made of its graphs without torch."""

from __future__ import annotations

from collections.abc import Mapping

from blemish.methods.common.graphs import as_network
from blemish.methods.contract import Graph, Networks

IMAGES, PROBABILITIES = "images", "probabilities"  # of the autoencoders
CROPS, LOGITS = "crops", "logits"  # of the compact CNN


def served(graphs: Mapping[str, Graph], *, types: bool) -> Networks:
    """Build the cascade, and with types the compact CNN. Raises KeyError for a missing graph."""
    networks = {"cascade": as_network(graphs["cascade"], input_name=IMAGES, output_name=PROBABILITIES)}
    if types:
        networks["types"] = as_network(graphs["types"], input_name=CROPS, output_name=LOGITS)
    return networks
