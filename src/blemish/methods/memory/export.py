"""Export of the memory as graphs: pixels to whitened features, and these to the head's log odds.

The search for the nearest patches stays a matrix product in numpy, on patches that stay tensors: so a bundle
without torch takes corrections.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from blemish.methods.capabilities import GraphPlan
from blemish.methods.memory.inference import FEATURES, HEAD
from blemish.methods.memory.network import DefectHead
from blemish.methods.memory.serving import IMAGES, LOG_ODDS, WHITENED
from blemish.methods.memory.settings import MemorySettings

SIDE = 64  # of the example where sides are free; a multiple of what the network asks for


def graph_plans(
    modules: Mapping[str, nn.Module], settings: MemorySettings, fixed_side: int | None
) -> dict[str, GraphPlan]:
    """Plans of the features, [B, 3, H, W] to [B, D, h, w], and of the head, to [B, 2, h, w].

    fixed_side: H and W of tiles, where all have it; images of a set size have that
    """
    given_side = settings.size or fixed_side
    side, free = (given_side, (0,)) if given_side else (SIDE, (0, 2, 3))
    images = torch.zeros(2, 3, side, side)
    plans = {FEATURES: GraphPlan(modules[FEATURES], {IMAGES: images}, (WHITENED,), {IMAGES: free})}
    if HEAD in modules:
        head = modules[HEAD]
        assert isinstance(head, DefectHead)
        places = side // settings.stride
        features = torch.zeros(2, head.adaptor.in_channels, places, places)
        axes = (0,) if settings.size else (0, 2, 3)  # of tiles put together, the whole image
        plans[HEAD] = GraphPlan(head, {WHITENED: features}, (LOG_ODDS,), {WHITENED: axes})
    return plans
