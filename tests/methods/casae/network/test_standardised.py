"""Images and crops by themselves: neither brightness nor contrast of an image changes what is found in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from blemish.methods.casae.network.cascade import Cascade
from blemish.methods.casae.network.compact import CompactNetwork
from blemish.methods.casae.network.layers import standardised
from blemish.methods.casae.settings import CasaeSettings


def images(count: int, channels: int = 1, side: int = 64) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def cascade(**changes: object) -> Cascade:
    torch.manual_seed(1)
    return Cascade(CasaeSettings.model_validate({"preset": "tiny", "width": 2, **changes})).eval()


def answer(network: nn.Module, pixels: Tensor) -> Tensor:
    with torch.inference_mode():
        out: Tensor = network(pixels)
    return out


def test_it_is_numpys_mean_and_deviation_of_each_image() -> None:
    pixels = images(3, channels=3)
    values = pixels.numpy().astype(np.float64)
    expected = np.stack([(one - one.mean()) / one.std() for one in values])
    np.testing.assert_allclose(standardised(pixels).numpy(), expected, atol=1e-5)


def test_a_flat_image_is_zero_and_its_noise_is_not_blown_up() -> None:
    flat = torch.full((1, 1, 8, 8), 0.4)
    assert standardised(flat).abs().max() < 1e-4
    noisy = flat + 1e-3 * (images(1, side=8) - 0.5)
    assert standardised(noisy).abs().max() < 0.255  # 1e-3 · 255


@pytest.mark.parametrize("changes", [{}, {"second_sees_image": True}, {"network": "fcn"}, {"channels": 3}])
def test_brightness_and_contrast_change_nothing(changes: dict[str, object]) -> None:
    network = cascade(**changes)
    pixels = images(2, channels=int(str(changes.get("channels", 1))))
    relit = 0.3 + 0.2 * pixels
    torch.testing.assert_close(answer(network, relit), answer(network, pixels), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "changes", [{"standardise": False}, {"tiled": True}, {"preset": "paper", "width": 2}]
)
def test_off_as_in_the_paper_and_in_tiles_images_stay_as_they_are(changes: dict[str, object]) -> None:
    network = cascade(**changes)
    pixels = images(2)
    assert (answer(network, 0.3 + 0.2 * pixels) - answer(network, pixels)).abs().max() > 1e-3


def test_an_image_is_judged_by_itself() -> None:
    network, pixels = cascade(), images(3) * torch.tensor([0.1, 0.5, 1.0])[:, None, None, None]
    alone = torch.cat([answer(network, one[None]) for one in pixels])
    torch.testing.assert_close(answer(network, pixels), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("standardise", [True, False])
def test_crops_are_standardised_where_the_settings_say_so(standardise: bool) -> None:
    torch.manual_seed(2)
    network = CompactNetwork(3, size=99, standardise=standardise).eval()
    crops = images(2, side=99)
    difference = (answer(network, 0.3 + 0.2 * crops) - answer(network, crops)).abs().max()
    assert (difference < 1e-3) == standardise
