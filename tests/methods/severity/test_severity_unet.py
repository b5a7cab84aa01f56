"""The U-Net of the paper's Table 4 as stage 1's network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.errors import BlemishError
from blemish.images.tiling import Tiling, dense_map
from blemish.inspector.torch_backend import as_network
from blemish.methods import find_method
from blemish.methods.severity.geometry import UNET_MULTIPLE, default_tiling, unet_receptive_radius
from blemish.methods.severity.inference import inference_from
from blemish.methods.severity.network import SeverityNetwork, new_network
from blemish.methods.severity.network.unet import UNet
from blemish.methods.severity.settings import SeveritySettings


def settled(cell: int) -> UNet:
    """In eval mode with statistics as training leaves them."""
    torch.manual_seed(0)
    network = UNet(1, cell, width=4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def test_the_reach_is_exact() -> None:
    """With positive weights a bright pixel shows wherever it reaches, at each place of the poolings' grid.

    Its value outweighs the 18 weights of 0.1 on the way to the far end.
    """
    network = UNet(1, 1, width=1).double().eval()
    for parameter in network.parameters():
        parameter.data = torch.full_like(parameter, 0.1 if parameter.ndim > 1 else 0.5)
    dark = torch.zeros(UNET_MULTIPLE, 1, 272, 272, dtype=torch.float64)
    bright = dark.clone()
    for phase in range(UNET_MULTIPLE):
        bright[phase, 0, 128, 128 + phase] = 1e18
    with torch.no_grad():
        changed = (network(bright) != network(dark))[:, 0].any(dim=1)
    reached = [int((row.nonzero().flatten() - 128 - phase).abs().max()) for phase, row in enumerate(changed)]
    assert max(reached) == unet_receptive_radius()


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_tiles_on_the_grid_give_the_whole_images_map(cell: int) -> None:
    network = as_network(settled(cell), device="cpu", bfloat16=False)
    tiling = default_tiling(cell, 256, network="unet")
    assert tiling.halo % UNET_MULTIPLE == 0
    image = np.random.default_rng(0).integers(0, 256, (256 + 2 * 16, 256 + 4 * 16), dtype=np.uint8)
    tiled = dense_map(image, network, tiling)
    whole = dense_map(image, network, Tiling(tile=640, halo=tiling.halo, stride=cell))
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert whole.std() > 1e-3


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 17), (35, 9)])
@pytest.mark.parametrize("cell", [1, 2, 4])
def test_any_multiple_of_the_cell_is_a_size(size: tuple[int, int], cell: int) -> None:
    images = torch.rand(2, 3, size[0] * cell, size[1] * cell)
    assert UNet(3, cell, width=2).eval()(images).shape == (2, 1, *size)


def test_a_cell_is_the_mean_of_its_pixels() -> None:
    fine, coarse = settled(1), settled(4)
    images = torch.rand(1, 1, 32, 48)
    with torch.no_grad():
        means = fine(images).reshape(1, 1, 8, 4, 12, 4).mean(dim=(3, 5))
        torch.testing.assert_close(coarse(images), means)


def test_the_setting_chooses_and_the_default_is_the_papers() -> None:
    assert isinstance(new_network(SeveritySettings()), SeverityNetwork)
    assert isinstance(new_network(SeveritySettings(network="unet", channels=3, cell=2)), UNet)


def test_a_tile_off_the_poolings_grid_is_refused() -> None:
    with pytest.raises(BlemishError, match=r"multiple of 16 with network=unet.* Received: 328\. Use 336\."):
        default_tiling(4, 328, network="unet")
    assert default_tiling(4, 328).tile == 328


def test_a_bundle_trained_with_the_setting_is_a_unet_everywhere() -> None:
    settings = SeveritySettings(network="unet", cell=2, types=False)
    manifest = Manifest(
        method="severity",
        class_names=("crack",),
        preprocessing=Preprocessing(channels=1),
        thresholds={"severity": 6.0, "drop_above": 0.5},
        settings=settings.model_dump(mode="json"),
    )
    method = find_method("severity")
    assert isinstance(method.modules(manifest)["severity"], UNet)
    inference = inference_from(settings, ("crack",), threshold=6.0, drop_above=0.5)
    assert inference.tiling == default_tiling(2, network="unet")
