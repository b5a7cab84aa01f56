"""Export of the image head that several methods have; loads torch."""

from __future__ import annotations

import torch
from torch import nn

from blemish.methods.capabilities import GraphPlan
from blemish.methods.common.image_head import IMAGES, LOG_ODDS, SIDE


def image_head_plan(head: nn.Module, channels: int) -> GraphPlan:
    """Plan of the head's graph, images [B, C, S, S] to log odds [B, 1]. channels: C"""
    images = torch.zeros(2, channels, SIDE, SIDE)
    return GraphPlan(head, {IMAGES: images}, (LOG_ODDS,), {IMAGES: (0,)})
