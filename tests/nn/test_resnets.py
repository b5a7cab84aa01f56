"""Stages of a ResNet by name, and ImageNet's scale as torchvision has it."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import resnet18, resnet50
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms.functional import normalize

from blemish.nn.resnets import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImagenetScale,
    out_channels,
    stages_of,
    stages_up_to,
)


@pytest.mark.parametrize("deepest", ["layer1", "layer2", "layer3"])
def test_stages_up_to_one_give_that_ones_map(deepest: str) -> None:
    network = resnet18(weights=None).eval()
    images = torch.rand(2, 3, 64, 64)
    features = images
    used = stages_up_to(deepest)
    assert used[0] == "stem"
    assert used[-1] == deepest
    with torch.no_grad():
        for stage in stages_of(network, used).values():
            features = stage(features)
        expected = create_feature_extractor(network, [deepest])(images)[deepest]
    assert torch.equal(features, expected)


def test_channels_of_a_stage_are_those_of_its_map() -> None:
    assert [out_channels(getattr(resnet50(weights=None), f"layer{n}")) for n in (1, 2)] == [256, 512]


def test_images_get_imagenets_scale() -> None:
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(ImagenetScale()(images), normalize(images, IMAGENET_MEAN, IMAGENET_STD))
    assert not ImagenetScale().state_dict()
