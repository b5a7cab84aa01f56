"""Export of CASAE as graphs: both autoencoders as one, and the compact CNN for batches of crops.

Letters: B batch, C channels, H, W; s side of the square that whole images are squeezed to.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from blemish.methods.capabilities import GraphPlan
from blemish.methods.casae.serving import CROPS, IMAGES, LOGITS, PROBABILITIES
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common import image_head
from blemish.methods.common.export import image_head_plan

SIDE = 64  # of the example where sides are free; a multiple of what the poolings ask for


def graph_plans(
    modules: Mapping[str, nn.Module], settings: CasaeSettings, fixed_side: int | None
) -> dict[str, GraphPlan]:
    """Plans of the cascade, [B, C, H, W] to probabilities, and of the CNN of types, [B, 1, size, size].

    H and W are s where images are squeezed, else those of tiles. fixed_side: of tiles, where all have it
    """
    given_side = fixed_side if settings.tiled else settings.size
    side, free = (given_side, (0,)) if given_side else (SIDE, (0, 2, 3))
    images = torch.zeros(2, settings.channels, side, side)
    plans = {"cascade": GraphPlan(modules["cascade"], {IMAGES: images}, (PROBABILITIES,), {IMAGES: free})}
    if "types" in modules:
        crops = torch.zeros(2, 1, settings.types_size, settings.types_size)
        plans["types"] = GraphPlan(modules["types"], {CROPS: crops}, (LOGITS,), {CROPS: (0,)})
    if image_head.NAME in modules:
        plans[image_head.NAME] = image_head_plan(modules[image_head.NAME], settings.channels)
    return plans
