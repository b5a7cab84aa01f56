"""Networks of an exported bundle, made of its graphs and its patches without torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from blemish.bundle.store import Tensors
from blemish.methods.common.graphs import as_network
from blemish.methods.contract import Graph, Network, Networks
from blemish.methods.memory.inference import FEATURES, HEAD, PATCHES, REFERENCE, USUAL

IMAGES, WHITENED, LOG_ODDS = "images", "whitened", "log_odds"  # inputs and outputs of graphs


def served(graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], *, head: bool) -> Networks:
    """Build the features, the patches, and with `head` that. Raises KeyError where one is missing."""
    held = tensors[PATCHES]
    rows = np.concatenate([held["good"], held["defective"]]).astype(np.float32)
    usual = tensors[USUAL]["distance"].astype(np.float32)
    networks: dict[str, Network] = {
        FEATURES: as_network(graphs[FEATURES], input_name=IMAGES, output_name=WHITENED),
        PATCHES: lambda _input: rows,
        USUAL: lambda _input: usual,
    }
    if REFERENCE in tensors:
        picture = tensors[REFERENCE]["picture"].astype(np.float32)
        networks[REFERENCE] = lambda _input: picture
    if head:
        networks[HEAD] = as_network(graphs[HEAD], input_name=WHITENED, output_name=LOG_ODDS)
    return networks
