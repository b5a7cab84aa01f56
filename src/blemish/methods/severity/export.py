"""Export of severity regression as graphs: stage 1 for images of any size, stage 4 for batches of windows.

Letters: B batch, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from blemish.methods.capabilities import GraphPlan
from blemish.methods.common import image_head
from blemish.methods.common.export import image_head_plan
from blemish.methods.severity.serving import IMAGES, LOGITS, SEVERITIES, WINDOWS
from blemish.methods.severity.settings import SeveritySettings

SIDE = 64  # of the examples; any multiple of the cell and of the U-Net's grid


def graph_plans(
    modules: Mapping[str, nn.Module], settings: SeveritySettings, fixed_side: int | None
) -> dict[str, GraphPlan]:
    """Plans of stage 1, [B, C, H, W] to cells, with context of two networks, and with types of stage 4,
    [B, 3, window, window] to logits.

    fixed_side: H and W where stage 1 takes no others
    """
    side, free = (fixed_side, (0,)) if fixed_side else (SIDE, (0, 2, 3))
    images = torch.zeros(2, settings.channels, side, side)
    plans = {
        name: GraphPlan(modules[name], {IMAGES: images}, (SEVERITIES,), {IMAGES: free})
        for name in ("severity", "context")
        if name in modules
    }
    if "types" in modules:
        windows = torch.zeros(2, 3, settings.types_window, settings.types_window)
        plans["types"] = GraphPlan(modules["types"], {WINDOWS: windows}, (LOGITS,), {WINDOWS: (0,)})
    if image_head.NAME in modules:
        plans[image_head.NAME] = image_head_plan(modules[image_head.NAME], settings.channels)
    return plans
