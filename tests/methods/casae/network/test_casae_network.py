from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.images.tiling import Tiling, dense_map, pad_to_multiple
from blemish.inspector.torch_backend import as_network
from blemish.methods.casae.geometry import reach, tiling_for
from blemish.methods.casae.network.cascade import Autoencoder, Cascade, dice_losses, pixel_loss
from blemish.methods.casae.network.layers import standardised
from blemish.methods.casae.settings import CasaeSettings

KINDS = [(True, True), (True, False), (False, True), (False, False)]  # atrous, cascade


def small(**changes: object) -> CasaeSettings:
    return CasaeSettings.model_validate({"preset": "tiny", "width": 2, **changes})


def sharp(*, atrous: bool, cascade: bool) -> Cascade:
    """With its logits scaled up, so that the map's detail is of the size of probabilities."""
    torch.manual_seed(3)
    network = Cascade(small(atrous=atrous, cascade=cascade, tiled=True)).eval()
    for part in (network.first, network.second):
        if part is not None:
            part.output.weight.data *= 12
    return network


def all_alive(*, atrous: bool, cascade: bool) -> nn.Module:
    """Autoencoders with positive weights, one behind the other, so that no path is cut by a ReLU.

    Poolings average in place of choosing the greatest: the gradient then shows all that they choose from.
    """

    def one() -> Autoencoder:
        network = Autoencoder(1, 1, atrous=atrous)
        for parameter in network.parameters():
            parameter.data = torch.full_like(parameter, 0.1 if parameter.ndim > 1 else 0.0)
        return network.double()

    return nn.Sequential(one(), FirstLogit(), one()) if cascade else nn.Sequential(one())


class FirstLogit(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits[:, :1].double()


def reached(network: nn.Module, *, row: int, height: int) -> int:
    """How far from `row` the farthest row lies that its pixels depend on."""
    image = torch.ones(1, 1, height, 16, dtype=torch.float64, requires_grad=True)
    network(image)[0, 0, row].sum().backward()
    assert image.grad is not None
    rows = torch.nonzero(image.grad[0, 0].abs().sum(1)).flatten()
    return int((rows - row).abs().max())


@pytest.mark.parametrize(("atrous", "cascade"), KINDS)
def test_reach_is_how_far_the_gradient_goes(
    monkeypatch: pytest.MonkeyPatch, *, atrous: bool, cascade: bool
) -> None:
    """From every place in a block of 16: the farthest is the reach, of two networks just within it."""
    monkeypatch.setattr(nn.functional, "max_pool2d", nn.functional.avg_pool2d)
    network = all_alive(atrous=atrous, cascade=cascade)
    limit = reach(atrous=atrous, cascade=cascade)
    start = -(-limit // 16) * 16
    farthest = max(reached(network, row=start + place, height=2 * start + 16) for place in range(16))
    assert farthest <= limit
    assert farthest == limit if not cascade else farthest > limit - 16


def test_reach_by_hand() -> None:
    """Two convolutions a block: plain 2 · (1 + 2 + 4 + 8 + 16) = 62; atrous 2 + 6 + 12 + 40 + 80 = 140."""
    assert reach(atrous=False, cascade=False) == 62 + 30 + 15
    assert reach(atrous=True, cascade=False) == 140 + 30 + 15
    assert reach(atrous=True, cascade=True) == 2 * 185


@pytest.mark.parametrize(("atrous", "cascade"), KINDS)
def test_the_halo_is_the_least_multiple_of_16_that_covers_the_reach(*, atrous: bool, cascade: bool) -> None:
    tiling = tiling_for(atrous=atrous, cascade=cascade, tile=None)
    limit = reach(atrous=atrous, cascade=cascade)
    assert limit <= tiling.halo < limit + 16
    assert (tiling.halo % 16, tiling.tile % 16, tiling.stride) == (0, 0, 1)
    assert tiling.tile - 2 * tiling.halo == 640


@pytest.mark.parametrize(("atrous", "cascade", "tile"), [(True, True, 816), (False, False, 256)])
@pytest.mark.parametrize("size", [(90, 2), (20, 3)])
def test_tiles_give_the_map_of_the_whole_image(
    size: tuple[int, int], *, atrous: bool, cascade: bool, tile: int
) -> None:
    image = noise((size[0], tile + 100), seed=size[1])
    network = as_network(sharp(atrous=atrous, cascade=cascade), device="cpu", bfloat16=False)
    padded = pad_to_multiple(image, 16)
    whole = network(padded.astype(np.float32)[None, None] / 255)[0, 0]
    assert whole.std() > 0.02
    tiled = dense_map(padded, network, tiling_for(atrous=atrous, cascade=cascade, tile=tile))
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-4)


def test_too_small_a_halo_shows_seams() -> None:
    """Guards the test above: it could not fail on a map without detail."""
    image = noise((32, 400), seed=1)
    network = as_network(sharp(atrous=True, cascade=True), device="cpu", bfloat16=False)
    whole = network(image.astype(np.float32)[None, None] / 255)[0, 0]
    seamed = dense_map(image, network, Tiling(tile=96, halo=16, stride=1))
    assert abs(seamed - whole).max() > 0.02


def noise(size: tuple[int, int], *, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


@pytest.mark.parametrize(("atrous", "expected"), [(True, [1, 1, 2, 1, 2, 1, 4, 1, 4, 1]), (False, [1] * 10)])
def test_the_encoder_is_that_of_table_1(*, atrous: bool, expected: list[int]) -> None:
    convs = [
        layer
        for block in Autoencoder(1, 8, atrous=atrous).down
        for layer in block
        if isinstance(layer, nn.Conv2d)
    ]
    assert [conv.dilation for conv in convs] == [(factor, factor) for factor in expected]
    assert {conv.kernel_size for conv in convs} == {(3, 3)}
    assert [conv.out_channels for conv in convs] == [8, 8, 16, 16, 32, 32, 64, 64, 128, 128]


@pytest.mark.parametrize("atrous", [True, False])
def test_each_level_has_the_maps_of_figure_3(*, atrous: bool) -> None:
    network = Autoencoder(3, 2, atrous=atrous).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(
            lambda _, inputs, out, name=name: shapes.update({name: (inputs[0].shape[1], *out.shape[1:])})
        )
    with torch.inference_mode():
        network(torch.zeros(2, 3, 64, 96))
    sides = [(64, 96), (32, 48), (16, 24), (8, 12), (4, 6)]
    for level, (before, out) in enumerate([(3, 2), (2, 4), (4, 8), (8, 16), (16, 32)]):
        assert shapes[f"down.{level}"] == (before, out, *sides[level])
    for level, out in enumerate([2, 4, 8, 16]):
        assert shapes[f"up.{level}"] == (3 * out, out, *sides[level])
    assert shapes["output"] == (2, 2, 64, 96)


@pytest.mark.parametrize("kind", ["autoencoder", "fcn"])
@pytest.mark.parametrize(
    ("norm", "layer"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm), ("none", None)]
)
def test_the_norm_stands_between_each_convolution_and_its_relu(
    kind: str, norm: str, layer: type[nn.Module] | None
) -> None:
    network = Cascade(CasaeSettings.model_validate({"preset": "tiny", "network": kind, "norm": norm})).first
    leaves = [module for module in network.modules() if not list(module.children())]
    before = [one for one, after in pairwise(leaves) if isinstance(after, nn.ReLU)]
    assert len(before) == (18 if kind == "autoencoder" else 15)
    assert all(isinstance(one, layer or nn.Conv2d) for one in before)
    norms = [one for one in leaves if isinstance(one, nn.BatchNorm2d | nn.GroupNorm)]
    assert len(norms) == (len(before) if layer else 0)


def test_a_map_does_not_depend_on_the_images_beside_it() -> None:
    images = torch.rand(3, 1, 64, 64)
    for norm in ("batch", "group", "none"):
        network = Cascade(CasaeSettings.model_validate({"preset": "tiny", "norm": norm})).eval()
        with torch.inference_mode():
            assert torch.allclose(network(images)[:1], network(images[:1]), atol=1e-5)


def test_atrous_convolutions_have_no_more_weights() -> None:
    plain, atrous = Autoencoder(1, 4, atrous=False), Autoencoder(1, 4)
    assert [tuple(p.shape) for p in plain.parameters()] == [tuple(p.shape) for p in atrous.parameters()]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("sees", "inputs"), [(False, 1), (True, None)])
def test_the_second_network_is_given_the_map_and_if_set_the_image(
    *, channels: int, sees: bool, inputs: int | None
) -> None:
    torch.manual_seed(0)
    network = Cascade(small(channels=channels, second_sees_image=sees)).eval()
    images = torch.rand(2, channels, 32, 48)
    given = network.second_input(images)
    first = torch.softmax(network.first(images), dim=1)[:, 1:]
    assert given.shape == (2, inputs or 1 + channels, 32, 48)
    assert torch.equal(given[:, :1], first)
    if sees:
        torch.testing.assert_close(given[:, 1:], standardised(images))
    assert torch.equal(network.second_logits(images), network.second(given))
    expected = torch.softmax(network.second(given), dim=1)[:, 1:]
    torch.testing.assert_close(network(images), expected)


def test_a_single_autoencoder_gives_its_own_map() -> None:
    network = Cascade(small(cascade=False)).eval()
    images = torch.rand(1, 1, 32, 32)
    assert network.second is None
    torch.testing.assert_close(network(images), network.first(images).softmax(1)[:, 1:])
    assert not any(name.startswith("second") for name in network.state_dict())


def test_the_first_network_learns_nothing_from_the_second() -> None:
    network = Cascade(small())
    pixel_loss(
        network.second_logits(torch.rand(1, 1, 32, 32)), torch.ones(1, 32, 32).long(), small()
    ).backward()
    assert all(parameter.grad is None for parameter in network.first.parameters())
    assert all(parameter.grad is not None for parameter in network.second.parameters())


def logits_of(probabilities: list[float]) -> Tensor:
    """[1, 2, 1, N] of the probabilities of a defect."""
    rows = [[math.log(1 - p) for p in probabilities], [math.log(p) for p in probabilities]]
    return torch.tensor(rows).view(1, 2, 1, len(probabilities)) + 5.0  # a softmax does not see the shift


def test_the_loss_by_hand() -> None:
    """Eq. 1: 0.8 · −log p of defects, 0.2 · −log (1 − p) of the surface, over the pixels that count."""
    truth = torch.tensor([[[1, 0, 1, -1]]])
    loss = pixel_loss(logits_of([0.5, 0.25, 0.9, 0.001]), truth, small(area_balance=0))
    expected = -(0.8 * math.log(0.5) + 0.2 * math.log(0.75) + 0.8 * math.log(0.9)) / 3
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_weights_are_those_of_the_settings() -> None:
    truth = torch.tensor([[[1, 0]]])
    settings = small(defect_weight=3.0, background_weight=1.0, area_balance=0)
    loss = pixel_loss(logits_of([0.5, 0.5]), truth, settings)
    assert loss.item() == pytest.approx(2 * math.log(2), rel=1e-5)


def test_few_defective_pixels_count_as_much_as_many_where_areas_are_balanced() -> None:
    """By hand: the first image is a defect by a fourth of its known pixels, the second has none."""
    truth = torch.tensor([[[1, 0, 0, 0, -1]], [[0, 0, 0, 0, 0]]])
    logits = logits_of([0.5] * 5).repeat(2, 1, 1, 1)
    for balance, counts in ((0.0, 1.0), (0.5, 2.0), (1.0, 4.0)):
        loss = pixel_loss(logits, truth, small(area_balance=balance, hard_clean_weight=0))
        assert loss.item() == pytest.approx((0.8 * counts + 0.2 * 8) * math.log(2) / 9, rel=1e-5)


def test_the_hardest_pixels_of_clean_images_count_beside_eq_1() -> None:
    """By hand: of an image without a defect the two worst of four; that with one counts by eq. 1 alone."""
    truth = torch.tensor([[[0, 0, 0, 0, -1]], [[1, 0, 0, 0, 0]]])
    logits = torch.cat([logits_of([0.1, 0.9, 0.2, 0.8, 0.999]), logits_of([0.5] * 5)])
    plain = pixel_loss(logits, truth, small(hard_clean_weight=0)).item()
    loss = pixel_loss(logits, truth, small(hard_clean_weight=3.0, hard_clean_share=0.4)).item()
    assert loss - plain == pytest.approx(3 * -(math.log(0.1) + math.log(0.2)) / 2 / 2, rel=1e-5)


def test_one_pixel_is_the_least_that_is_hardest_and_images_with_defects_alone_add_nothing() -> None:
    logits = logits_of([0.1, 0.9])
    for truth, more in (([0, 0], -math.log(0.1)), ([0, 1], 0.0)):
        given = torch.tensor([[truth]])
        plain = pixel_loss(logits, given, small(hard_clean_weight=0)).item()
        loss = pixel_loss(logits, given, small(hard_clean_weight=1.0, hard_clean_share=0.001)).item()
        assert loss - plain == pytest.approx(more, rel=1e-5)


def test_the_dice_loss_of_images_with_a_defect_counts_beside_eq_1() -> None:
    """By hand: Σpt = 0.5, Σp = 0.5 + 0.2 + 0.1, Σt = 1 over known pixels; the clean image adds nothing."""
    truth = torch.tensor([[[1, 0, 0, -1]], [[0, 0, 0, 0]]])
    logits = torch.cat([logits_of([0.5, 0.2, 0.1, 0.999]), logits_of([0.9] * 4)])
    plain = pixel_loss(logits, truth, small(dice_weight=0)).item()
    loss = pixel_loss(logits, truth, small(dice_weight=3.0)).item()
    assert loss - plain == pytest.approx(3 * (1 - (2 * 0.5 + 1) / (0.8 + 1 + 1)) / 2, rel=1e-4)


@pytest.mark.parametrize(("found", "expected"), [([1, 1, 0, 0], 0.0), ([0, 0, 1, 1], 1 - 1 / 5)])
def test_the_dice_loss_is_0_for_the_truth_and_near_1_for_its_opposite(
    found: list[int], expected: float
) -> None:
    logits = logits_of([min(max(value, 1e-6), 1 - 1e-6) for value in found])
    assert dice_losses(logits, torch.tensor([[[1, 1, 0, 0]]])).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("defective", [1, 7, 64])
def test_wholly_balanced_a_defect_costs_the_same_whatever_its_area(defective: int) -> None:
    truth = (torch.arange(64) < defective).long().view(1, 8, 8)
    settings = small(area_balance=1.0, background_weight=1e-9)
    assert pixel_loss(torch.zeros(1, 2, 8, 8), truth, settings).item() == pytest.approx(0.8 * math.log(2))


def test_a_batch_in_which_no_pixel_counts_costs_nothing() -> None:
    logits = torch.randn(2, 2, 4, 4, requires_grad=True)
    loss = pixel_loss(logits, torch.full((2, 4, 4), -1), small())
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_loss_is_in_fp32_whatever_the_logits_are() -> None:
    logits = torch.randn(1, 2, 8, 8).bfloat16()
    assert pixel_loss(logits, torch.zeros(1, 8, 8).long(), small()).dtype == torch.float32


@pytest.mark.parametrize("atrous", [True, False])
def test_signals_keep_their_size_at_full_depth(*, atrous: bool) -> None:
    """Eighteen layers without norm: a draw that halves the signal in each would leave nothing."""
    torch.manual_seed(0)
    with torch.inference_mode():
        deepest = nn.Sequential(*Autoencoder(1, 16, atrous=atrous).down)(torch.rand(1, 1, 64, 64))
    assert deepest.std() > 0.05


def test_two_steps_of_training_find_a_bright_square() -> None:
    settings = CasaeSettings(preset="tiny")
    torch.manual_seed(0)
    cascade = Cascade(settings)
    images = 0.3 * torch.rand(2, 1, 48, 48)
    images[0, :, 10:22, 14:30] += 0.5
    images[1, :, 30:40, 4:18] += 0.5
    truth = (images[:, 0] > 0.4).long()
    assert cascade.second is not None
    train(cascade.first, images, truth, settings)
    cascade.first.eval()
    before = {name: tensor.clone() for name, tensor in cascade.first.state_dict().items()}
    train(cascade.second, cascade.second_input(images), truth, settings)
    with torch.inference_mode():
        found = cascade.eval()(images)[:, 0] > 0.5
    overlap = (found & (truth > 0)).sum() / (found | (truth > 0)).sum()
    assert overlap > 0.8
    assert all(torch.equal(tensor, before[name]) for name, tensor in cascade.first.state_dict().items())


def train(network: nn.Module, inputs: Tensor, truth: Tensor, settings: CasaeSettings) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    for _ in range(60):
        loss = pixel_loss(network(inputs), truth, settings)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
