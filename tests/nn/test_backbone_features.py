"""Features of a network at hand: the bundle's own, the installed, torchvision's cached one; no downloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.models import ResNet18_Weights, resnet18
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms.functional import normalize

from blemish.evaluation.baselines import HISTOGRAMS
from blemish.evaluation.evidence import features_at_hand
from blemish.methods.medetection.network.stems import new_stem
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.methods.tlsdd.network.extractor import new_extractor
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.nn import backbone_features
from blemish.nn.efficientnet_lite import LiteScale, efficientnet_lite_stages
from blemish.nn.resnets import IMAGENET_MEAN, IMAGENET_STD

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_features, "installed_file", lambda: None)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torchvision's weights, and no way to fill it."""

    def refuse(*rest: Any, **more: Any) -> None:
        raise AssertionError("weights are downloaded")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def tensors_of(module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    return {f"part.{name}": value.numpy() for name, value in module.state_dict().items()}


def test_nothing_at_hand_leaves_histograms(not_installed: None) -> None:
    assert features_at_hand({}, {}) is HISTOGRAMS
    settings = MedetectionSettings(backbone="resnet18", backbone_weights="none")
    stem, _ = new_stem(settings)
    random = features_at_hand({"network": tensors_of(stem)}, settings.model_dump())
    assert random is HISTOGRAMS, "a ResNet that began at random weights is no baseline"


def test_the_installed_network_needs_no_cache() -> None:
    """Its features against its stages' own, computed image by image."""
    features = features_at_hand({}, {})
    assert features.name == "ImageNet efficientnet-lite0"
    stages, _ = efficientnet_lite_stages("imagenet", deepest="stage3", setting="backbone")
    for image, found in zip(IMAGES, features.extract(IMAGES), strict=True):
        maps = LiteScale()(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
        with torch.no_grad():
            for stage in stages.values():
                maps = stage(maps)
        parts = [part / part.norm() for part in (maps[0].mean((1, 2)), maps[0].amax((1, 2)))]
        np.testing.assert_allclose(found, torch.cat(parts), atol=1e-5)


def test_cached_weights_of_torchvision_are_used(cache: Path, not_installed: None) -> None:
    torch.manual_seed(1)
    network = resnet18(weights=None).eval()
    name = ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    torch.save(network.state_dict(), cache / name)
    features = features_at_hand({}, {})
    assert features.name == "ImageNet resnet18"
    scaled = normalize(torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255, IMAGENET_MEAN, IMAGENET_STD)
    with torch.no_grad():
        maps = create_feature_extractor(network, ["layer2"])(scaled)["layer2"].flatten(2)
    parts = [part / part.norm(dim=1, keepdim=True) for part in (maps.mean(2), maps.max(2).values)]
    np.testing.assert_allclose(features.extract(IMAGES), torch.cat(parts, dim=1), atol=1e-5)


def test_the_bundles_own_backbone_comes_first() -> None:
    """Of both methods that have one; changing its weights changes the features."""
    medetection = MedetectionSettings(backbone="resnet18", backbone_weights="none")
    lite = MedetectionSettings(backbone="efficientnet-lite0", backbone_weights="none")
    tlsdd = TlsddSettings(backbone="resnet18", backbone_weights="none", deepest="layer3")
    found = []
    for settings, network in (
        (medetection, new_stem(medetection)[0]),
        (lite, new_stem(lite)[0]),
        (tlsdd, new_extractor(tlsdd)[0]),
    ):
        stored = {**settings.model_dump(), "backbone_weights": "imagenet"}
        features = features_at_hand({"network": tensors_of(network)}, stored)
        assert features.name == f"the bundle's own {settings.backbone}"
        found.append(features.extract(IMAGES))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5).add_(0.01)
        changed = features_at_hand({"network": tensors_of(network)}, stored)
        assert not np.allclose(changed.extract(IMAGES), found[-1])
    assert [features.shape for features in found] == [(3, 256), (3, 80), (3, 256)]
