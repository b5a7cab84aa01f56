"""Log odds of a defect by the image as a whole, from a head on an encoder; numpy alone.

The image is squeezed to a square, so that its cost does not depend on the image's size. Letters: S side.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.images.resize import resized
from blemish.images.tiling import planes
from blemish.methods.common.graphs import as_network
from blemish.methods.contract import Graph, Networks

NAME = "image"  # of the network, among those of a method
IMAGES, LOG_ODDS = "images", "log_odds"  # of its graph
SIDE = 224  # S, as of the images that the encoder was trained on


def head_log_odds(pixels: Pixels, networks: Networks) -> float:
    """Log odds that an image is defective. networks: with the head"""
    return float(networks[NAME](squeezed(pixels))[0, 0])


def served_head(graphs: Mapping[str, Graph]) -> Networks:
    """Build the head from its graph. Raises KeyError where it is missing."""
    return {NAME: as_network(graphs[NAME], input_name=IMAGES, output_name=LOG_ODDS)}


def squeezed(pixels: Pixels) -> NDArray[np.float32]:
    """Image as the head takes it, [1, C, S, S] in [0, 1]."""
    return planes(resized(pixels, (SIDE, SIDE)))[None]
