"""Networks of an exported bundle of severity regression, made of its graphs without torch."""

from __future__ import annotations

from collections.abc import Mapping

from blemish.methods.common.graphs import as_network
from blemish.methods.contract import Graph, Networks

IMAGES, SEVERITIES = "images", "severities"  # of stage 1, both networks
WINDOWS, LOGITS = "windows", "logits"  # of stage 4


def served(graphs: Mapping[str, Graph], *, context: bool, types: bool) -> Networks:
    """Build stage 1, perhaps of two networks, and with types stage 4. Raises KeyError for a missing graph."""
    names = ("severity", "context") if context else ("severity",)
    networks = {name: as_network(graphs[name], input_name=IMAGES, output_name=SEVERITIES) for name in names}
    if types:
        networks["types"] = as_network(graphs["types"], input_name=WINDOWS, output_name=LOGITS)
    return networks
