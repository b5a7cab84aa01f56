"""The networks of severity regression made of its graphs, where there is no torch."""

from __future__ import annotations

from collections.abc import Mapping

from blemish.methods.contract import Graph, Networks
from blemish.methods.served import as_network

IMAGES, SEVERITIES = "images", "severities"  # of stage 1
WINDOWS, LOGITS = "windows", "logits"  # of stage 4


def served(graphs: Mapping[str, Graph]) -> Networks:
    """Stage 1, and where there is a graph for it stage 4."""
    networks = {"severity": as_network(graphs["severity"], given=IMAGES, answer=SEVERITIES)}
    if "types" in graphs:
        networks["types"] = as_network(graphs["types"], given=WINDOWS, answer=LOGITS)
    return networks
