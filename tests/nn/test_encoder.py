"""Encoder with its decoder: maps as torchvision gives them, gray as colour, shapes, what learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.feature_extraction import create_feature_extractor

from blemish.methods.casae.settings import CasaeSettings
from blemish.nn.encoder import Decoder, Encoder, EncoderDecoder, new_encoder_decoder
from blemish.nn.resnets import stages_of, stages_up_to


def network(*, outputs: int = 1, stride: int = 1, **changes: object) -> EncoderDecoder:
    torch.manual_seed(0)
    settings = CasaeSettings.model_validate(
        {"encoder": "resnet18", "encoder_weights": "none", "decoder_width": 8, **changes}
    )
    return new_encoder_decoder(settings, outputs=outputs, stride=stride).eval()


@torch.no_grad()
def test_maps_are_those_of_the_resnet_at_strides_2_to_16() -> None:
    whole = resnet50(weights=None).eval()
    encoder = Encoder(stages_of(whole, stages_up_to("layer3"))).eval()
    images = torch.rand(2, 3, 64, 96)
    names = ("relu", "layer1", "layer2", "layer3")
    expected = create_feature_extractor(whole, list(names))(images)
    maps = encoder(images)
    for name, found, stride in zip(names, maps, (2, 4, 8, 16), strict=True):
        assert torch.equal(found, expected[name])
        assert found.shape[2:] == (64 // stride, 96 // stride)
    assert encoder.channels == (64, 256, 512, 1024)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("level", ["layer2", "layer4"])
@torch.no_grad()
def test_one_value_for_each_output_and_square_of_the_stride(stride: int, level: str) -> None:
    values = network(outputs=3, stride=stride, encoder_level=level)(torch.rand(2, 1, 64, 32))
    assert values.shape == (2, 3, 64 // stride, 32 // stride)
    assert values.dtype == torch.float32


@torch.no_grad()
def test_a_gray_image_is_one_of_three_equal_channels() -> None:
    gray = torch.rand(1, 1, 32, 32)
    colour = gray.repeat(1, 3, 1, 1)
    assert torch.equal(network()(gray), network()(colour))


@torch.no_grad()
def test_only_at_stride_1_the_image_is_looked_at_beside_the_maps() -> None:
    maps = [torch.zeros(1, 4, 16, 16), torch.zeros(1, 4, 8, 8)]

    def change(decoder: Decoder) -> Tensor:
        one, other = (decoder.eval()(maps, torch.full((1, 3, 32, 32), value)) for value in (0.0, 1.0))
        return (one - other).abs().max()

    torch.manual_seed(0)
    assert change(Decoder((4, 4), width=8, outputs=1, stride=1)) > 0
    assert change(Decoder((4, 4), width=8, outputs=1, stride=2)) == 0


@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_places_that_no_feature_fires_on_are_told_from_each_other(stride: int) -> None:
    """With plain ReLUs all of them had the value of the output's bias, and no gradient to leave it by."""
    unsure = network(stride=stride)
    for module in unsure.decoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, -20.0)
    values = unsure(torch.rand(1, 1, 32, 32))
    assert values.unique().numel() > 0.9 * values.numel()


def test_statistics_of_a_frozen_encoder_stay_in_training_mode() -> None:
    trained = network(encoder_rate=0).train()
    before = {name: tensor.clone() for name, tensor in trained.encoder.state_dict().items()}
    trained(torch.rand(2, 1, 32, 32)).sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.encoder.state_dict().items())
    assert not any(parameter.requires_grad for parameter in trained.encoder.parameters())
    assert all(parameter.grad is not None for parameter in trained.decoder.parameters())


@pytest.mark.parametrize(("trainable", "names"), [(0, set()), (2, {"layer2", "layer3"}), (5, None)])
def test_the_deepest_stages_learn_and_the_others_keep_their_weights(
    trainable: int, names: set[str] | None
) -> None:
    encoder = network(encoder_trainable_stages=trainable).encoder
    learning = {
        name for name, stage in encoder.body.items() if any(each.requires_grad for each in stage.parameters())
    }
    assert learning == (set(encoder.body) if names is None else names)
