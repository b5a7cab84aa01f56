"""The linear path against scikit-learn, its map that sums up to the logit, and what it adds to a verdict."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.network.linear_path import LinearPath, normal_maps
from blemish.methods.medetection.settings import MedetectionSettings


def features(count: int = 60) -> tuple[Tensor, Tensor]:
    """Maps of normal and defective images, [N, 5, 4, 4], the latter with a spot, and their labels."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(count, 5, 4, 4, generator=generator)
    labels = torch.arange(count) % 3 // 2
    for number in torch.nonzero(labels).flatten().tolist():
        row, column = torch.randint(4, (2,), generator=generator).tolist()
        maps[number, :2, row, column] += 0.6
    return maps, labels


def fitted(*, deviations: bool = True, strength: float = 1.0) -> LinearPath:
    maps, labels = features()
    linear = LinearPath(5, 4, deviations=deviations)
    normal = maps[labels == 0]
    linear.learn_usual(normal_maps([normal[:7], normal[7:]]))
    linear.fit(linear.statistics(maps), labels, strength=strength)
    return linear


@pytest.mark.parametrize("deviations", [False, True])
@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_it_is_scikit_learns_logistic_regression(deviations: bool, strength: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    maps, labels = features()
    linear = fitted(deviations=deviations, strength=strength)
    found = linear.statistics(maps).double().numpy()
    scaled = preprocessing.StandardScaler().fit_transform(found)
    rule = linear_model.LogisticRegression(C=strength, max_iter=2000, tol=1e-9).fit(scaled, labels.numpy())
    np.testing.assert_allclose(linear(maps).numpy(), rule.decision_function(scaled), rtol=1e-3, atol=1e-3)


def test_deviations_are_told_in_units_of_what_normal_images_differ_by() -> None:
    maps, labels = features()
    linear, normal = fitted(), maps[labels == 0].numpy()
    spread = normal.std(0)
    expected = np.abs(maps.numpy() - normal.mean(0)) / (spread + 0.5 * spread.mean((1, 2), keepdims=True))
    np.testing.assert_allclose(linear.described(maps)[:, 5:].numpy(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(linear.described(maps)[:, :5], maps)


def test_a_normal_training_image_is_held_against_the_others_alone() -> None:
    maps, labels = features()
    normal = maps[labels == 0]
    all_of_them = normal_maps([normal])
    found = all_of_them.deviations_of_members(normal[:3]).numpy()
    for number in range(3):
        others = np.delete(normal.double().numpy(), number, 0)
        least = 0.5 * normal.numpy().std(0).mean((1, 2), keepdims=True)
        expected = np.abs(normal[number].numpy() - others.mean(0)) / (others.std(0) + least)
        np.testing.assert_allclose(found[number], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("deviations", [False, True])
def test_the_shares_of_all_places_make_the_logit(deviations: bool) -> None:
    linear, (maps, _) = fitted(deviations=deviations), features()
    maps[0, 0] = 0.5  # the same everywhere: every place has the maximum
    evidence = linear.evidence(maps)
    assert evidence.shape == (60, 4, 4)
    torch.testing.assert_close(evidence.sum((1, 2)) + linear.offset, linear(maps), rtol=1e-4, atol=1e-4)


def test_its_map_is_hottest_at_the_spot() -> None:
    maps, labels = features()
    spots = maps[labels == 1][:, :2].sum(1).flatten(1).argmax(1)
    hottest = fitted().evidence(maps[labels == 1]).flatten(1).argmax(1)
    assert (spots == hottest).float().mean() > 0.7


def test_constant_channels_and_one_image_of_a_kind_fit_without_a_nan() -> None:
    maps = torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    maps[:, 0] = 2.0
    linear = LinearPath(3, 2, deviations=True)
    linear.learn_usual(normal_maps([maps[:1]]))
    linear.fit(linear.statistics(maps), torch.tensor([0, 0, 0, 1]), strength=1.0)
    logits = linear(maps)
    assert logits.isfinite().all() and logits.argmax() == 3
    assert linear.evidence(maps).isfinite().all()


def network(path: str, **changes: object) -> DifferenceNetwork:
    torch.manual_seed(0)
    given = {"preset": "tiny", "backbone": "resnet18", "backbone_level": "layer2+layer3", "linear_path": path}
    return DifferenceNetwork(MedetectionSettings(**{**given, **changes})).eval()


@pytest.mark.parametrize("path", ["image", "deviations"])
def test_its_logit_is_added_to_the_heads_for_every_reference(path: str) -> None:
    pairs = torch.rand(2, 12, 48, 48, generator=torch.Generator().manual_seed(1))
    without, beside = network("none"), network(path)
    torch.nn.init.normal_(beside.linear.weight, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        own = beside.linear(beside.embed(pairs[:, 9:])).repeat_interleave(3)
        torch.testing.assert_close(beside(pairs)[:, 0], without(pairs)[:, 0] + own, rtol=1e-4, atol=1e-4)
        assert (beside(pairs)[:, 1:] >= 0).all()


def test_it_says_nothing_before_it_is_fitted_and_no_step_changes_it() -> None:
    pairs = torch.rand(2, 6, 48, 48, generator=torch.Generator().manual_seed(1))
    beside = network("deviations")
    with torch.no_grad():
        torch.testing.assert_close(beside(pairs)[:, 0], network("none")(pairs)[:, 0])
    assert not list(beside.linear.parameters())


def test_a_stem_that_trains_and_the_papers_preset_have_none() -> None:
    assert network("deviations", backbone_frozen=False).linear is None
    assert network("deviations", backbone="paper").linear is None
    assert MedetectionSettings(preset="paper").linear_path == "none"


def test_two_levels_lie_one_upon_the_other_with_the_finer_ones_maxima() -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    both = network("none")
    with torch.no_grad():
        finer = network("none", backbone_level="layer2").embed(images)
        deeper = network("none", backbone_level="layer3").embed(images)
        expected = torch.cat([torch.nn.functional.max_pool2d(finer, 2), deeper], 1)
        assert (both.embed(images).shape, both.stem.channels, both.stem.stride) == (expected.shape, 384, 16)
    for name, tensor in both.stem.body.state_dict().items():  # weights of "none" are drawn in the same order
        other = network("none", backbone_level="layer3").stem.body.state_dict()[name]
        torch.testing.assert_close(tensor, other)
    with torch.no_grad():
        torch.testing.assert_close(both.embed(images)[:, 128:], deeper)
        layer2 = both.stem.body["layer2"](
            both.stem.body["layer1"](both.stem.body["stem"](both.stem.scale(images)))
        )
        torch.testing.assert_close(both.embed(images)[:, :128], torch.nn.functional.max_pool2d(layer2, 2))
