"""The limit on what a bundle's settings may make torch allocate leaves room for every backbone."""

from __future__ import annotations

import pytest
import torch

from blemish.inspector.loading import ALLOCATED_AT_LEAST
from blemish.inspector.torch_backend import AllocationLimit
from blemish.nn.resnets import resnet_stages


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet101"])
def test_the_first_stages_of_a_backbone_can_be_had(name: str) -> None:
    """A ResNet is built whole and cut, so that a bundle of its first stages takes far more than it holds."""
    with AllocationLimit(ALLOCATED_AT_LEAST):
        stages, _ = resnet_stages(name, "none", deepest="layer1", setting="backbone")
    assert list(stages) == ["stem", "layer1"]


def test_what_is_larger_than_any_backbone_is_refused() -> None:
    with pytest.raises(MemoryError, match="more than the bundle holds"), AllocationLimit(ALLOCATED_AT_LEAST):
        torch.empty(ALLOCATED_AT_LEAST + 1)
