from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.tables.imagenet import Backbone, patches, pooled
from blemish.errors import BlemishError


def test_maps_are_those_of_the_levels_and_nothing_learns() -> None:
    backbone = Backbone("resnet18", "none", ("layer2", "layer3"), original_strides=False)
    maps = backbone(torch.rand(2, 3, 64, 64))
    assert [tuple(one.shape) for one in maps] == [(2, 128, 8, 8), (2, 256, 4, 4)]
    assert list(backbone.stages) == ["stem", "layer1", "layer2", "layer3"]
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_pooled_is_the_mean_over_places() -> None:
    features = torch.rand(2, 5, 3, 4, dtype=torch.float64)
    expected = [[features[image, channel].numpy().mean() for channel in range(5)] for image in range(2)]
    assert np.allclose(pooled(features), expected)


def test_patches_average_their_neighbourhood_within_the_map() -> None:
    """Against a loop over places; the second map, of one place, is the same everywhere."""
    fine, coarse = torch.rand(1, 2, 4, 5), torch.rand(1, 3, 1, 1)
    found = patches([fine, coarse], 3)[0].reshape(4, 5, 5).numpy()
    for top in range(4):
        for left in range(5):
            rows, columns = slice(max(0, top - 1), top + 2), slice(max(0, left - 1), left + 2)
            own = fine[0].numpy()[:, rows, columns].mean(axis=(1, 2))
            assert np.allclose(found[top, left], [*own, *coarse.flatten().tolist()], atol=1e-6)


@pytest.mark.parametrize("neighbourhood", [1, 2, 3])
def test_every_place_has_a_patch_whatever_the_neighbourhood(neighbourhood: int) -> None:
    assert patches([torch.rand(2, 4, 6, 6)], neighbourhood).shape == (2, 36, 4)


def test_weights_that_are_not_there_are_refused() -> None:
    with pytest.raises(BlemishError, match=r"weights: nowhere\.safetensors is not a file"):
        Backbone("resnet18", "nowhere.safetensors", ("layer1",), original_strides=False)
