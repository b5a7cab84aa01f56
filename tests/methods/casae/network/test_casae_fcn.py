"""The FCN of the paper's Table 3 in place of the autoencoders."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.images.tiling import Tiling, dense_map, pad_to_multiple
from blemish.inspector.torch_backend import as_network
from blemish.methods import find_method
from blemish.methods.casae.geometry import reach, tiling_for
from blemish.methods.casae.inference import inference_from
from blemish.methods.casae.network.cascade import Cascade, pixel_loss
from blemish.methods.casae.network.fcn import FullyConvolutional
from blemish.methods.casae.settings import CasaeSettings

TILING = tiling_for(atrous=False, cascade=False, tile=576, network="fcn")


def settings(**changes: object) -> CasaeSettings:
    return CasaeSettings.model_validate({"preset": "tiny", "network": "fcn", **changes})


def constant(network: nn.Module, weight: float, bias: float = 0.0) -> nn.Module:
    for parameter in network.parameters():
        parameter.data = torch.full_like(parameter, weight if parameter.ndim > 1 else bias)
    return network


def test_the_layers_are_vgg_16s() -> None:
    """Configuration D with its fully connected layers as convolutions, at width 64; three maps are scored."""
    convs = [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        for layer in FullyConvolutional(3, 4).modules()
        if isinstance(layer, nn.Conv2d)
    ]
    vgg = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    narrow = [3, *(out // 16 for out in vgg[1:])]
    assert convs[:13] == [(before, out, 3) for before, out in pairwise(narrow)]
    assert convs[13:] == [(32, 256, 7), (256, 256, 1), (256, 2, 1), (32, 2, 1), (16, 2, 1)]


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 32)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_has_two_logits(size: tuple[int, int], channels: int) -> None:
    network = FullyConvolutional(channels, 2).eval()
    found: dict[str, tuple[int, ...]] = {}
    for name in ("blocks.2", "blocks.3", "deepest"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: found.update({name: tuple(out.shape[1:])})
        )
    assert network(torch.rand(2, channels, *size)).shape == (2, 2, *size)
    height, width = size
    assert found == {
        "blocks.2": (8, height // 4, width // 4),
        "blocks.3": (16, height // 8, width // 8),
        "deepest": (128, height // 32, width // 32),
    }


def test_scores_of_three_maps_are_added_by_hand() -> None:
    """Each map's score is set to a number of its own: what is interpolated of a constant stays one.

    Away from the rim, where the doubled maps fade as beyond them there is nothing.
    """
    network = FullyConvolutional(1, 1).eval()
    for layer, values in ((network.score, (1.0, -1.0)), (network.score_pool4, (10.0, 20.0))):
        layer.weight.data.zero_()
        layer.bias.data = torch.tensor(values)
    network.score_pool3.weight.data.zero_()
    network.score_pool3.bias.data = torch.tensor([100.0, 200.0])
    with torch.no_grad():
        logits = network(torch.rand(1, 1, 128, 128))
    assert torch.allclose(logits[0, 0, 32:96, 32:96], torch.tensor(111.0))
    assert torch.allclose(logits[0, 1, 32:96, 32:96], torch.tensor(219.0))


def test_each_map_is_raised_linearly_to_where_it_lies() -> None:
    """Against torch's own interpolation of the three maps' scores, added at 1/8 of the image's size."""
    torch.manual_seed(0)
    network = FullyConvolutional(1, 2).double().eval()
    scores: dict[str, Tensor] = {}
    for name in ("score", "score_pool4", "score_pool3"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: scores.update({name: out})
        )
    with torch.no_grad():
        logits = network(torch.rand(1, 1, 320, 320, dtype=torch.float64)).double()
    fourth = scores["score_pool4"] + raised(scores["score"], 2)
    expected = raised(scores["score_pool3"] + raised(fourth, 2), 8)
    inner = (..., slice(64, -64), slice(64, -64))
    torch.testing.assert_close(logits[inner], expected[inner], rtol=1e-4, atol=1e-5)
    assert all(score[..., 2:-2, 2:-2].std() > 0.01 for score in scores.values())


def raised(scores: Tensor, factor: int) -> Tensor:
    return functional.interpolate(scores, scale_factor=float(factor), mode="bilinear", align_corners=False)


def test_reach_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """From every place in a block of 32, by the gradient; poolings average, so that all they see shows."""
    monkeypatch.setattr(functional, "max_pool2d", functional.avg_pool2d)
    network = constant(FullyConvolutional(1, 1), 0.1).double()
    limit = reach(atrous=False, cascade=False, network="fcn")
    start, farthest = 256, 0
    image = torch.ones(1, 1, 2 * start + 32, 32, dtype=torch.float64, requires_grad=True)
    logits = network(image)[0, 0]
    for row in range(start, start + 32):
        (gradient,) = torch.autograd.grad(logits[row].sum(), image, retain_graph=True)
        rows = torch.nonzero(gradient[0, 0].abs().sum(1)).flatten()
        farthest = max(farthest, int((rows - row).abs().max()))
    assert farthest == limit == 245


@pytest.mark.parametrize("size", [(64, 700), (50, 999)])
def test_tiles_give_the_map_of_the_whole_image(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    padded = pad_to_multiple(image, 32)
    network = as_network(sharp(), device="cpu", bfloat16=False)
    whole = network(padded.astype(np.float32)[None, None] / 255)[0, 0]
    assert whole.std() > 0.02
    assert (TILING.halo % 32, TILING.tile % 32) == (0, 0)
    np.testing.assert_allclose(dense_map(padded, network, TILING), whole, rtol=0, atol=1e-4)
    seamed = dense_map(padded, network, Tiling(tile=576, halo=48, stride=1))
    assert abs(seamed - whole).max() > 0.001


def sharp() -> Cascade:
    """With its logits scaled up, so that the map's detail is of the size of probabilities."""
    torch.manual_seed(3)
    network = Cascade(settings(width=2, tiled=True)).eval()
    assert isinstance(network.first, FullyConvolutional)
    for layer in (network.first.score, network.first.score_pool4, network.first.score_pool3):
        layer.weight.data *= 6
    return network


def test_a_perturbed_pixel_changes_nothing_beyond_the_halo() -> None:
    network = sharp()
    dark = torch.zeros(1, 1, 32, 768)
    bright = dark.clone()
    bright[..., 300] = 50
    with torch.no_grad():
        changed = (network(bright) != network(dark)).any(dim=2).flatten().nonzero().flatten()
    assert 20 < (changed - 300).abs().max() <= TILING.halo


def test_a_bundle_with_the_setting_is_an_fcn_everywhere() -> None:
    chosen = settings(tiled=True)
    manifest = Manifest(
        method="casae",
        class_names=("crack",),
        preprocessing=Preprocessing(channels=1),
        thresholds={"probability": 0.5},
        settings=chosen.model_dump(mode="json"),
    )
    cascade = find_method("casae").modules(manifest)["cascade"]
    assert isinstance(cascade, Cascade)
    assert isinstance(cascade.first, FullyConvolutional)
    assert cascade.second is None
    inference = inference_from(chosen, ("crack",), threshold=0.5)
    assert inference.tiling == tiling_for(atrous=False, cascade=False, tile=None, network="fcn")
    pixels = np.random.default_rng(0).integers(0, 256, (45, 70), dtype=np.uint8)
    raw = inference.forward(pixels, {"cascade": as_network(cascade.eval(), device="cpu", bfloat16=False)})
    assert raw.shape == (45, 70)


def test_it_learns_where_the_bright_square_is() -> None:
    torch.manual_seed(0)
    network = FullyConvolutional(1, 4)
    images = 0.3 * torch.rand(2, 1, 64, 64)
    images[0, :, 8:32, 16:40] += 0.5
    images[1, :, 32:60, 4:28] += 0.5
    truth = (images[:, 0] > 0.4).long()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(50):
        loss = pixel_loss(network(images), truth, settings())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = network(images).argmax(dim=1)
    overlap = ((found & truth) > 0).sum() / ((found | truth) > 0).sum()
    assert overlap > 0.75
