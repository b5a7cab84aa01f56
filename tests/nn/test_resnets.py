"""Stages of a ResNet by name, and ImageNet's scale as torchvision has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18, resnet50
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms.functional import normalize

from blemish.nn.resnets import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImagenetScale,
    out_channels,
    resnet,
    resnet_stages,
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


def test_stages_are_those_of_the_whole_network_and_a_file_may_lack_the_rest(tmp_path: Path) -> None:
    torch.manual_seed(2)
    whole, _ = resnet("resnet18", "none", setting="weights", frozen_norm=True)
    tensors = {
        name: t for name, t in whole.state_dict().items() if not name.startswith(("layer3", "layer4", "fc"))
    }
    save_file(tensors, tmp_path / "part.safetensors")
    stages, origin = resnet_stages(
        "resnet18", str(tmp_path / "part.safetensors"), deepest="layer2", setting="weights"
    )
    assert list(stages) == ["stem", "layer1", "layer2"]
    assert origin == "resnet18: weights of part.safetensors"
    assert torch.equal(stages["layer2"][1].conv2.weight, whole.layer2[1].conv2.weight)
