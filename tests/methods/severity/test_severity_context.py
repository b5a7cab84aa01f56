"""Stage 1 with context: a coarser copy of the image through a second network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from blemish.images.tiling import pad_to_multiple
from blemish.inspector.torch_backend import as_networks
from blemish.methods.contract import Networks
from blemish.methods.severity.geometry import coarser, default_tiling, with_context
from blemish.methods.severity.inference import SeverityInference, inference_from
from blemish.methods.severity.network import ContextNetwork, new_network
from blemish.methods.severity.settings import SeveritySettings

SETTINGS = SeveritySettings(cell=4, context=4, loss="hurdle", types=False)


def settled(seed: int, settings: SeveritySettings = SETTINGS) -> nn.Module:
    """Network in eval mode whose outputs are spread, and whose batch norms are not the identity."""
    torch.manual_seed(seed)
    network = new_network(settings)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    network.conv4.weight.data *= 20
    return network.eval()


@pytest.fixture(scope="module")
def networks() -> Networks:
    return as_networks({"severity": settled(0), "context": settled(1)})


def half(**changes: object) -> SeverityInference:
    return replace(inference_from(SETTINGS, ("a",), threshold=5.0, drop_above=0.5), **changes)


def noise(*size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_coarser_copy_holds_the_mean_of_each_block(factor: int, dtype: type) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (16, 24, 3)).astype(dtype)
    copy = coarser(image, factor)
    blocks = image.reshape(16 // factor, factor, 24 // factor, factor, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(copy / 65535, blocks / np.iinfo(dtype).max, atol=1e-5)


def test_forward_is_the_sum_of_both_networks_outputs(networks: Networks) -> None:
    """On an image whose sides are multiples of nothing."""
    image = noise(75, 118)
    whole = torch.from_numpy(pad_to_multiple(image, 16)).float()[None, None] / 255
    with torch.no_grad():
        around = functional.interpolate(
            settled(1)(functional.avg_pool2d(whole, 4)), scale_factor=4.0, mode="bilinear"
        )
        own = settled(0)(torch.from_numpy(pad_to_multiple(image, 4)).float()[None, None] / 255)
        defective, severe = (own + around[..., :19, :30])[0].sigmoid()
    found = half().forward(image, networks)
    assert found.shape == (19, 30)
    np.testing.assert_allclose(found, 12 * defective * severe, atol=2e-3)


def test_training_sees_the_sum_that_inference_makes() -> None:
    """The wide patch holds all the patch's surroundings that count, here a flat surface."""
    image = torch.full((1, 1, 512, 512), 0.5)
    image[..., 240:270, 250:280] = 0.9
    network = ContextNetwork(settled(0), settled(1), 4).eval()
    with torch.no_grad():
        patch = network(image[..., 128:384, 128:384], functional.avg_pool2d(image, 4))[0]
        around = functional.interpolate(
            network.context(functional.avg_pool2d(image, 4)), scale_factor=4.0, mode="bilinear"
        )
        whole = (network.severity(image) + around)[0, :, 32:96, 32:96]
    inner = slice(16, 48)
    torch.testing.assert_close(patch[:, inner, inner], whole[:, inner, inner], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("tile", [256, 320])
def test_tiles_show_no_seam(networks: Networks, tile: int) -> None:
    image = noise(500, 420)
    plain = half(tiles=default_tiling(4, 2048)).forward(image, networks)
    tiled = half(tiles=default_tiling(4, tile)).forward(image, networks)
    np.testing.assert_allclose(tiled, plain, atol=2e-3)


def test_rows_of_a_web_have_the_map_of_the_whole(networks: Networks) -> None:
    """As line scan cuts them: what a row of tiles keeps is what the whole image gives there."""
    inference = half(tiles=default_tiling(4, 192))
    tiling, image = inference.tiling, noise(1600, 64)
    assert tiling == with_context(inference.tiles, 4, grid=4)
    whole = inference.forward(image, networks)
    step = tiling.tile - 2 * tiling.halo
    assert step % inference.multiple == 0
    for start in range(0, 1600 - tiling.tile, step):
        rows = inference.forward(image[start : start + tiling.tile], networks)
        first = 0 if start == 0 else tiling.halo // 4
        kept = slice(first, (tiling.tile - tiling.halo) // 4)
        np.testing.assert_allclose(rows[kept], whole[start // 4 :][kept], atol=2e-3)


def test_a_change_of_tone_far_away_is_seen_by_the_context_alone(networks: Networks) -> None:
    image = np.full((64, 512), 120, np.uint8)
    changed = image.copy()
    changed[:, 256 + 4 * 40 :] = 180
    reach = [
        np.abs(one.forward(changed, networks) - one.forward(image, networks))[:, :64].max()
        for one in (half(context=1), half())
    ]
    assert reach[0] == 0 < reach[1]


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_a_flat_surface_has_a_flat_map_up_to_its_edges(cell: int) -> None:
    """With zeros beyond the image every cell near an edge differs from those inside."""
    flat = torch.full((1, 1, 96, 96), 0.4)
    with torch.no_grad():
        found, zeros = (
            settled(0, SETTINGS.model_copy(update={"cell": cell, "padding": padding}))(flat)
            for padding in ("replicate", "zeros")
        )
    assert found.std(dim=(2, 3)).max() < 1e-3 < zeros.std(dim=(2, 3)).max()
