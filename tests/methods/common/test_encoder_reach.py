"""Reach of encoder and decoder against how far the gradient of the network goes, and by hand."""

from __future__ import annotations

import pytest
import torch

from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common.encoder_reach import Backbone, Level, Strides, deepest_stride, encoder_reach
from blemish.nn.encoder import new_encoder_decoder


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize(
    ("backbone", "level", "strides"),
    [
        ("resnet18", "layer2", "torchvision"),
        ("resnet50", "layer2", "original"),
        ("resnet34", "layer1", "torchvision"),
        ("efficientnet-lite0", "layer3", "torchvision"),
    ],
)
def test_reach_is_how_far_the_gradient_goes(
    backbone: Backbone, level: Level, strides: Strides, stride: int
) -> None:
    """From every place in a block of the deepest map, with positive weights, so that no path is cut."""
    settings = CasaeSettings(
        encoder=backbone,
        encoder_weights="none",
        encoder_strides=strides,
        encoder_level=level,
        decoder_width=8,
    )
    torch.manual_seed(0)
    network = new_encoder_decoder(settings, outputs=1, stride=stride).double().eval()
    for parameter in network.parameters():
        if parameter.ndim == 4:  # so that each convolution averages, and no activation is cut above either
            parameter.data = parameter.data.abs() / parameter.data.abs().sum((1, 2, 3), keepdim=True)
    limit = encoder_reach(backbone, level, strides=strides, finest=stride)
    block = deepest_stride(level)
    middle = -(-limit // block) * block
    image = 0.6 + 0.3 * torch.rand(1, 1, 2 * middle + block, block, dtype=torch.double)
    image.requires_grad_()
    values = network(image)[0, 0]
    farthest = 0
    for row in range(middle // stride, (middle + block) // stride):
        (gradient,) = torch.autograd.grad(values[row, 0], image, retain_graph=True)
        rows = torch.nonzero(gradient[0, 0].abs().sum(1)).flatten()
        farthest = max(farthest, int((rows - row * stride).abs().max()))
    assert farthest == limit


def test_reach_by_hand() -> None:
    """ResNet-18 to layer2, values at stride 4: stem 3, pooling 2, layer1 4 · 4, layer2 4 + 3 · 8; decoder 8,
    a doubling 4, and 4.
    """
    assert encoder_reach("resnet18", "layer2", strides="torchvision", finest=4) == 5 + 16 + 28 + 8 + 4 + 4
