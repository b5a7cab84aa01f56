"""First weights of CASAE's networks.

Source: Tao et al. 2018, section 5.1, for the compact CNN; He et al. 2015 where the paper is silent.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

PAPER_DEVIATION = 0.001


def draw_weights(network: nn.Module, initial: Literal["paper", "he"] = "he") -> None:
    """Draw the weights of all convolutions and linear layers from normal distributions; biases start at zero.

    "he" keeps the size of signals through ReLUs; "paper" is N(0, 0.001), whatever the layer.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if initial == "paper":
                nn.init.normal_(module.weight, std=PAPER_DEVIATION)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
