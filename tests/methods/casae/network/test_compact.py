from __future__ import annotations

import pytest
import torch
from torch import nn

from blemish.methods.casae.network.compact import CompactNetwork, last_side

# Table 2: kernel, stride, padding, and output [side, side, channels].
TABLE_2 = {
    "conv1": (11, 4, 0, (55, 55, 96)),
    "pool1": (3, 2, 0, (27, 27, 96)),
    "conv2": (5, 1, 0, (23, 23, 128)),
    "pool2": (3, 2, 0, (11, 11, 128)),
    "conv3_1": (3, 1, 1, (11, 11, 256)),
    "conv3_2": (3, 1, 1, (11, 11, 256)),
    "conv3_3": (3, 1, 1, (11, 11, 128)),
    "pool3": (3, 2, 0, (5, 5, 128)),
}


def first_layer(module: nn.Module) -> nn.Module:
    return module[0] if isinstance(module, nn.Sequential) else module


def single(value: int | tuple[int, ...]) -> int:
    """A side given as one number or as two equal ones."""
    sides = {value} if isinstance(value, int) else set(value)
    assert len(sides) == 1
    return sides.pop()


def test_layers_are_those_of_table_2() -> None:
    network = CompactNetwork(3).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_children():
        module.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: tuple(out.shape)}))
    with torch.inference_mode():
        network(torch.zeros(2, 1, 227, 227))
    assert list(shapes) == [*TABLE_2, "fc1", "fc2", "fc3"]
    for name, (kernel, stride, padding, (height, width, channels)) in TABLE_2.items():
        layer = first_layer(getattr(network, name))
        own = (single(layer.kernel_size), single(layer.stride), single(layer.padding))
        assert (own, shapes[name]) == ((kernel, stride, padding), (2, channels, height, width)), name
    assert (shapes["fc1"], shapes["fc2"], shapes["fc3"]) == ((2, 1000), (2, 256), (2, 3))


def test_relu_follows_every_layer_but_the_last_and_batch_norm_the_first_two() -> None:
    kinds = [
        [type(layer) for layer in module] if isinstance(module, nn.Sequential) else [type(module)]
        for module in CompactNetwork(3).children()
    ]
    normed, plain, pool, full = (
        [nn.Conv2d, nn.BatchNorm2d, nn.ReLU],
        [nn.Conv2d, nn.ReLU],
        [nn.MaxPool2d],
        [nn.Linear, nn.ReLU],
    )
    assert kinds == [normed, pool, normed, pool, plain, plain, plain, pool, full, full, [nn.Linear]]


def test_outputs_are_logits() -> None:
    """No softmax inside: rows need not sum to 1."""
    torch.manual_seed(0)
    with torch.inference_mode():
        logits = CompactNetwork(4).eval()(torch.rand(3, 1, 227, 227))
    assert logits.shape == (3, 4)
    assert logits.dtype == torch.float32
    assert (logits < 0).any()


@pytest.mark.parametrize(("size", "side"), [(227, 5), (99, 1), (98, 0)])
def test_the_least_crop_leaves_one_value_of_the_last_map(size: int, side: int) -> None:
    assert last_side(size) == side


@pytest.mark.parametrize("size", [99, 130, 227])
def test_every_size_has_its_own_first_full_layer(size: int) -> None:
    with torch.inference_mode():
        assert CompactNetwork(2, size=size).eval()(torch.zeros(1, 1, size, size)).shape == (1, 2)


@pytest.mark.parametrize(("initial", "deviation"), [("paper", 0.001), ("he", (2 / 3200) ** 0.5)])
def test_first_weights_are_drawn_as_named(initial: str, deviation: float) -> None:
    torch.manual_seed(0)
    network = CompactNetwork(3, initial=initial)
    assert network.fc1[0].weight.std().item() == pytest.approx(deviation, rel=0.01)
    assert not network.fc1[0].bias.any()


def test_the_papers_first_weights_starve_the_last_layer_and_hes_do_not() -> None:
    """Why "he" is the default: behind three layers without norm the paper's draw leaves no signal."""
    spread = {}
    for initial in ("paper", "he"):
        torch.manual_seed(0)
        network = CompactNetwork(3, initial=initial).train()
        with torch.inference_mode():
            spread[initial] = network(torch.rand(4, 1, 227, 227)).std(dim=0).mean().item()
    assert spread["paper"] < 1e-7
    assert spread["he"] > 1e-2


def test_it_learns_two_kinds_of_crop() -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = CompactNetwork(2, size=99).train()
    labels = torch.tensor([0, 1] * 2)
    crops = 0.1 * torch.rand(4, 1, 99, 99, generator=generator)
    crops[labels == 1, :, 40:60] += 0.5
    optimiser = torch.optim.SGD(network.parameters(), lr=3e-3, momentum=0.9)
    for _ in range(8):
        loss = nn.functional.cross_entropy(network(crops), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
