"""Type classifiers of stage 4: shape of their answers, their first weights, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from blemish.errors import BlemishError
from blemish.methods.severity.network import empty_type_network, new_type_network
from blemish.methods.severity.settings import SeveritySettings
from blemish.nn.efficientnet_lite import LiteScale, efficientnet_lite_stages


@pytest.mark.parametrize("backbone", ["efficientnet-lite0", "resnet18"])
def test_windows_of_any_side_give_a_logit_for_each_type_and_background(backbone: str) -> None:
    settings = SeveritySettings(types_backbone=backbone)  # type: ignore[arg-type]
    network = empty_type_network(settings, 4).eval()
    for side in (32, 64, 96):
        logits = network(torch.rand(2, 3, side, side))
        assert logits.shape == (2, 5)
        assert torch.isfinite(logits).all()


def test_the_defaults_weights_are_installed_and_go_into_a_bundle() -> None:
    settings = SeveritySettings()
    network, origin = new_type_network(settings, 2)
    assert origin == "efficientnet-lite0: ImageNet weights"
    empty = empty_type_network(settings, 2)
    empty.load_state_dict(network.state_dict())
    windows = torch.rand(2, 3, 64, 64)
    features = LiteScale()(windows)
    with torch.no_grad():
        for stage in efficientnet_lite_stages("imagenet", deepest="stage5", setting="weights")[0].values():
            features = stage(features)
        weights = network.state_dict()
        expected = features.mean(dim=(2, 3)) @ weights["output.weight"].T + weights["output.bias"]
        torch.testing.assert_close(empty.eval()(windows), expected)


def test_original_strides_are_refused_where_no_block_has_them() -> None:
    with pytest.raises(BlemishError, match=r"^types_backbone_strides: .*types_backbone=resnet50"):
        new_type_network(SeveritySettings(types_backbone_strides="original"), 2)
