from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from blemish.dataset.samples import Sample
from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.methods.medetection.training import feature_cache
from blemish.methods.medetection.training.feature_cache import FeatureCache

SETTINGS = MedetectionSettings(
    preset="tiny", backbone="resnet18", backbone_weights="none", backbone_level="layer1"
)


def cache_of(count: int) -> FeatureCache:
    generator = np.random.default_rng(0)
    samples = [Sample(Path(f"{number}.png"), f"{number}.png") for number in range(count)]
    return FeatureCache(samples, SETTINGS, lambda _: generator.integers(0, 256, (48, 48, 3), np.uint8))


def test_what_a_cache_of_features_computes_and_holds_is_counted() -> None:
    torch.manual_seed(0)
    cache, network = cache_of(2), DifferenceNetwork(SETTINGS).eval()
    for _ in range(2):
        cache.fill(network, 0)
        cache.fill(network, 1, views=1)
    use = cache.use
    assert (use.requests, use.computed, use.kept, use.views) == (10, 5, 5, None)
    assert use.num_bytes == sum(features.nbytes for features in cache.features.values())
    assert use.seconds > 0


def test_features_beyond_the_limit_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one = cache_of(1)
    one.fill(DifferenceNetwork(SETTINGS).eval(), 0, views=1)
    monkeypatch.setattr(feature_cache, "MAX_BYTES", 2 * one.use.num_bytes)
    cache, network = cache_of(1), DifferenceNetwork(SETTINGS).eval()
    for _ in range(2):
        cache.fill(network, 0)
    assert (cache.use.kept, cache.use.computed) == (2, 4 + 2)
