"""The network's parts against brute force and captum, its switches, and what identical images give."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from blemish.methods.medetection.network.difference import DifferenceNetwork, bin_maxima, pooling_blocks
from blemish.methods.medetection.network.stems import PaperStem
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.nn.coordinate_attention import CoordinateAttention


def made(**changes: object) -> DifferenceNetwork:
    torch.manual_seed(0)
    settings = MedetectionSettings(**{"preset": "tiny", "backbone_weights": "none", **changes})
    return DifferenceNetwork(settings).eval()


def pairs(count: int = 3, side: int = 48) -> Tensor:
    return torch.rand(count, 6, side, side, generator=torch.Generator().manual_seed(1))


STEMS = [
    {"backbone": "paper"},
    {"backbone": "paper", "norm": "batch", "attention": "both"},
    {"backbone": "paper", "resize_difference": True},
    {"backbone": "resnet18", "backbone_level": "layer1", "attention": "none"},
    {"backbone": "resnet18", "backbone_level": "layer2", "attention": "high"},
    {"backbone": "resnet50", "backbone_level": "layer3", "backbone_strides": "original"},
    {"backbone": "efficientnet-lite0", "backbone_level": "layer2+layer3"},
    {"siamese": False},
]


@pytest.mark.parametrize("changes", STEMS)
@pytest.mark.parametrize("side", [32, 48, 64])
def test_every_switch_gives_one_difference_and_a_map_of_a_sixteenth(changes: dict, side: int) -> None:
    network = made(**changes, size=side)
    with torch.no_grad():
        raw, logits = network(pairs(2, side)), network.logits(pairs(2, side))
    assert raw.shape == (2, 1 + (side // 16) ** 2)
    torch.testing.assert_close(raw[:, 0], logits[:, 1] - logits[:, 0])
    assert (raw[:, 1:] >= 0).all()


@pytest.mark.parametrize("changes", STEMS[:-1])
def test_an_image_that_is_its_reference_differs_by_exactly_nothing(changes: dict) -> None:
    network = made(**changes)
    same = pairs()
    same[1, 3:] = same[1, :3]
    with torch.no_grad():
        difference = network.difference(*network.embed_pairs(same))
    assert not difference[1].any()
    assert difference[0].any()
    assert (difference >= 0).all()


def test_reference_and_image_may_change_places_and_matter_both() -> None:
    network, given = made(), pairs()
    swapped = torch.cat([given[:, 3:], given[:, :3]], 1)
    with torch.no_grad():
        torch.testing.assert_close(network(swapped), network(given))
        given[0, :3] = 0
        assert not torch.allclose(network(given)[0], network(swapped)[0])


def test_without_the_siamese_stem_the_reference_is_ignored() -> None:
    network, given = made(siamese=False), pairs()
    with torch.no_grad():
        before = network(given)
        given[:, :3] = 0
        assert torch.equal(network(given), before)


@pytest.mark.parametrize("changes", STEMS)
def test_features_computed_beforehand_give_the_same_verdicts(changes: dict) -> None:
    network, given = made(**changes), pairs()
    with torch.no_grad():
        features = network.embed(given[:, :3]), network.embed(given[:, 3:])
        torch.testing.assert_close(network.body(*features), network.logits(given))


@pytest.mark.parametrize("changes", STEMS)
def test_a_pair_alone_is_decided_as_in_a_batch(changes: dict) -> None:
    network, given = made(**changes), pairs()
    with torch.no_grad():
        torch.testing.assert_close(network(given[1:2]), network(given)[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", STEMS)
def test_an_image_behind_several_references_is_a_pair_with_each(changes: dict) -> None:
    network = made(**changes)
    together = torch.rand(2, 12, 48, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = network(together).view(2, 3, -1)
        for number in range(3):
            reference, image = together[:, 3 * number : 3 * number + 3], together[:, 9:]
            expected = network(torch.cat([reference, image], 1))
            torch.testing.assert_close(found[:, number], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ["none", "low", "high", "both"])
@pytest.mark.parametrize(("norm", "side"), [("group", 48), ("batch", 64)])
def test_the_map_is_captums_grad_cam(attention: str, norm: str, side: int) -> None:
    network = made(attention=attention, norm=norm)
    nn.init.normal_(network.head.weight)

    def score(given: Tensor) -> Tensor:
        logits = network.logits(given)
        return logits[:, 1] - logits[:, 0]

    shown = 0
    for sign in (1, -1):  # a map may be empty, but not that of a score and of its opposite
        network.head.weight.data *= sign
        expected = LayerGradCam(score, network.blocks[-1]).attribute(pairs(3, side), relu_attributions=True)
        with torch.no_grad():
            found = network(pairs(3, side))[:, 1:]
        torch.testing.assert_close(found, expected.flatten(1), rtol=1e-4, atol=1e-7)
        shown += int((found > 0).sum())
    assert shown


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (5, 7), (16, 16)])
def test_the_pyramid_pools_the_maximum_of_each_bin(size: tuple[int, int]) -> None:
    network = made()
    last = torch.randn(2, 8, *size)
    expected = [
        [
            last[b, c, rows[0] : rows[1], columns[0] : columns[1]].max().item()
            for side in (4, 2, 1)
            for c in range(8)
            for rows in bins(size[0], side)
            for columns in bins(size[1], side)
        ]
        for b in range(2)
    ]
    np.testing.assert_array_equal(network.pooled(last).numpy(), np.array(expected, np.float32))


def bins(length: int, count: int) -> list[tuple[int, int]]:
    return [(math.floor(n * length / count), math.ceil((n + 1) * length / count)) for n in range(count)]


def test_the_papers_stem_has_as_many_parameters_as_its_layers() -> None:
    stem = PaperStem(MedetectionSettings(preset="paper"))
    # 3×3 weights and a bias for each output channel; then a norm's weight and bias for each channel.
    convolutions = 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 2 * 256 * 256)
    biases = 2 * 64 + 2 * 128 + 3 * 256
    norms = 2 * (64 + 128 + 256)
    assert sum(p.numel() for p in stem.parameters()) == convolutions + biases + norms
    assert (stem.stride, stem.channels) == (8, 256)
    assert stem(torch.rand(1, 3, 32, 32)).shape == (1, 256, 4, 4)


def test_without_activations_a_stage_is_linear_and_with_them_it_is_not() -> None:
    for activation in (False, True):
        stage = made(stem_activation=activation).stem.stages[0][:-1].double()  # but for its pool
        one, other = torch.randn(2, 1, 3, 8, 8).double()
        both, apart = stage(one + other), stage(one) + stage(other) - stage(torch.zeros_like(one))
        assert torch.allclose(both, apart) is not activation


@pytest.mark.parametrize(("stride", "blocks"), [(1, 4), (4, 2), (8, 1), (16, 0)])
def test_as_many_blocks_pool_as_the_last_map_needs(stride: int, blocks: int) -> None:
    assert pooling_blocks(stride) == blocks


@pytest.mark.parametrize(
    ("attention", "blocks"), [("none", []), ("low", [0]), ("high", [3]), ("both", [0, 3])]
)
def test_attention_stands_where_the_setting_says(attention: str, blocks: list[int]) -> None:
    network = made(attention=attention)
    found = [n for n, b in enumerate(network.blocks) if isinstance(b.attention, CoordinateAttention)]
    assert found == blocks


def test_a_frozen_stem_has_no_gradient_and_a_learning_one_has() -> None:
    for frozen in (True, False):
        network = made(backbone="resnet18", backbone_frozen=frozen).train()
        network.logits(pairs(2), num_support=2).sum().backward()
        assert all((parameter.grad is None) is frozen for parameter in network.stem.parameters())
        assert all(parameter.grad is not None for parameter in network.blocks.parameters())


def test_a_stem_of_random_weights_says_so_and_follows_the_seed() -> None:
    first, second = made(backbone="resnet18"), made(backbone="resnet18")
    assert first.origin == "resnet18: random initial weights"
    assert made().origin == "paper stem: random initial weights"
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_batch_norms_of_the_stem_take_reference_and_image_of_the_given_pairs() -> None:
    network = made(norm="batch").train()
    given = pairs(4)
    before = network.logits(given, num_support=2)
    given[3] = 1 - given[3]
    after = network.logits(given, num_support=2)
    assert torch.equal(after[:3], before[:3])
    assert not torch.allclose(after[3], before[3])
    for channel in (1, 4):  # of the reference, of the image
        changed = given.clone()
        changed[0, channel] = 0
        assert not torch.allclose(network.logits(changed, num_support=2)[2], after[2])


def test_the_network_can_be_exported_as_a_graph() -> None:
    network, given = made(size=64), pairs(2, 64)
    graph = torch.export.export(network, (given,)).module()
    torch.testing.assert_close(graph(given), network(given))


@pytest.mark.parametrize(("height", "width"), [(3, 3), (5, 7), (1, 2), (16, 16)])
@pytest.mark.parametrize("bins", [4, 2, 1])
def test_bins_by_slices_are_adaptive_pooling(
    height: int, width: int, bins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(
        bin_maxima(features, bins), torch.nn.functional.adaptive_max_pool2d(features, bins)
    )
