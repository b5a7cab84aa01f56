from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from blemish.images.tiling import Tiling, dense_map, pad_to_multiple
from blemish.inspector.torch_backend import as_network
from blemish.methods.severity.geometry import default_tiling, receptive_radius
from blemish.methods.severity.network.regression import Bottleneck, SeverityNetwork

CELLS = [1, 2, 4]


def settled(cell: int) -> SeverityNetwork:
    """In eval mode with statistics as training leaves them, so that batch norm is not the identity.

    Its last layer is scaled up, so that the map's detail is of the size of severities.
    """
    torch.manual_seed(0)
    network = SeverityNetwork(1, cell)
    network.conv4.weight.data *= 100
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.bias.data.uniform_(-0.2, 0.2)
    return network.eval()


def all_alive(network: SeverityNetwork) -> SeverityNetwork:
    """With positive weights, so that no ReLU cuts a path and every pixel within reach shows in the
    gradient.
    """
    for parameter in network.parameters():
        parameter.data = torch.full_like(parameter, 0.01 if parameter.ndim > 1 else 0.5)
    return network.double().eval()


@pytest.mark.parametrize("cell", CELLS)
def test_receptive_radius_is_how_far_the_gradient_reaches(cell: int) -> None:
    network = all_alive(SeverityNetwork(1, cell))
    radius = receptive_radius(cell)
    middle = (radius + 8) // cell
    side = (2 * middle + 2) * cell
    image = torch.ones(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    network(image)[0, 0, middle, middle].backward()
    rows, columns = (torch.nonzero(image.grad[0, 0].abs().sum(axis)).flatten() for axis in (1, 0))
    own = middle * cell
    assert (int(rows[0]), int(rows[-1])) == (own - radius, own + radius)
    assert (int(columns[0]), int(columns[-1])) == (own - radius, own + radius)


@pytest.mark.parametrize("cell", CELLS)
def test_the_default_halo_is_the_least_that_covers_the_reach(cell: int) -> None:
    tiling = default_tiling(cell)
    assert tiling.halo >= receptive_radius(cell)
    assert tiling.halo - cell < receptive_radius(cell) + cell - 1
    assert tiling.stride == cell
    assert default_tiling(cell, 960).tile == 960


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_about_0_4_million_parameters(channels: int, cell: int) -> None:
    network = SeverityNetwork(channels, cell)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(0.4e6, rel=0.12)


def test_layers_are_those_of_tables_1_to_3() -> None:
    network = SeverityNetwork(1, 4)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda _, __, out, name=name: shapes.update({name: tuple(out.shape[1:])})
        )
    network(torch.zeros(2, 1, 256, 256))
    assert shapes == {
        "conv1": (16, 256, 256),
        "pool1": (16, 128, 128),
        "stage1": (32, 128, 128),
        "conv2": (16, 128, 128),
        "pool2": (16, 64, 64),
        "stage2": (64, 64, 64),
        "conv3": (512, 64, 64),
        "norm3": (512, 64, 64),
        "conv4": (1, 64, 64),
    }
    kernels = {
        name: (tuple(module.weight.shape), module.stride)
        for name, module in network.named_children()
        if isinstance(module, nn.Conv2d)
    }
    assert kernels == {
        "conv1": ((16, 1, 5, 5), (1, 1)),
        "conv2": ((16, 32, 3, 3), (1, 1)),
        "conv3": ((512, 64, 3, 3), (1, 1)),
        "conv4": ((1, 512, 1, 1), (1, 1)),
    }


@pytest.mark.parametrize(("stage", "widths"), [("stage1", (16, 8, 32)), ("stage2", (16, 16, 64))])
def test_a_stage_is_two_bottlenecks_of_1_5_5(stage: str, widths: tuple[int, int, int]) -> None:
    channels, middle, out = widths
    first, second = getattr(SeverityNetwork(1, 4), stage)
    assert conv_shapes(first.body) == [(middle, channels, 1, 1), (middle, middle, 5, 5), (out, middle, 5, 5)]
    assert conv_shapes(second.body) == [(middle, out, 1, 1), (middle, middle, 5, 5), (out, middle, 5, 5)]
    assert tuple(first.shortcut.weight.shape) == (out, channels, 1, 1)
    assert isinstance(second.shortcut, nn.Identity)
    assert [type(layer) for layer in first.body] == 3 * [nn.BatchNorm2d, nn.ReLU, nn.Conv2d]


def conv_shapes(body: nn.Sequential) -> list[tuple[int, ...]]:
    return [tuple(layer.weight.shape) for layer in body if isinstance(layer, nn.Conv2d)]


def test_a_bottleneck_does_not_change_its_input() -> None:
    """Its ReLUs work in place; the identity shortcut must still see what came in."""
    features = torch.randn(1, 32, 8, 8, generator=torch.Generator().manual_seed(0))
    before = features.clone()
    block = Bottleneck(32, 8, 32, "zeros").eval()
    with torch.inference_mode():
        out = block(features)
        body = block.body(before.clone())
    assert torch.equal(features, before)
    torch.testing.assert_close(out, before + body)


@pytest.mark.parametrize("cell", CELLS)
def test_any_multiple_of_the_cell_gives_one_value_a_cell(cell: int) -> None:
    with torch.inference_mode():
        assert SeverityNetwork(3, cell).eval()(torch.zeros(1, 3, 5 * cell, 9 * cell)).shape == (1, 1, 5, 9)


@pytest.mark.parametrize(("cell", "tile"), [(1, 64), (2, 104), (4, 160)])
@pytest.mark.parametrize("size", [(203, 331), (97, 402), (1, 205), (170, 163)])
def test_tiles_give_the_map_of_the_whole_image(cell: int, tile: int, size: tuple[int, int]) -> None:
    image = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    network = as_network(settled(cell), device="cpu", bfloat16=False)
    padded = pad_to_multiple(image, cell).astype(np.float32)[None, None] / 255
    whole = network(padded)[0, 0]
    assert whole.std() > 0.05
    tiling = default_tiling(cell, tile)
    np.testing.assert_allclose(dense_map(image, network, tiling), whole, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("cell", "tile"), [(1, 64), (2, 104), (4, 160)])
def test_too_small_a_halo_shows_seams(cell: int, tile: int) -> None:
    """Guards the test above: it could not fail on a map without detail."""
    image = np.random.default_rng(0).integers(0, 256, (170, 220), dtype=np.uint8)
    network = as_network(settled(cell), device="cpu", bfloat16=False)
    right = dense_map(image, network, default_tiling(cell, tile))
    seamed = dense_map(image, network, Tiling(tile=tile, halo=cell, stride=cell))
    assert abs(seamed - right).max() > 0.1
