"""The inner step against derivatives by hand, finite differences and plain gradient descent; no leaks."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.methods.medetection.training.maml import ImagePairs, adapted, episode_loss, query_logits

Array = NDArray[np.float64]
WAYS = [{"adapt": adapt, "norm": norm} for adapt in ("head", "all") for norm in ("group", "batch")]


def chosen(**changes: object) -> MedetectionSettings:
    fields = {
        "preset": "tiny", "size": 32, "stem_widths": (4, 4, 6), "widths": 4, "attention_min_channels": 4,
        "attention": "both", "inner_learning_rate": 0.05,
    }  # fmt: skip
    return MedetectionSettings(**{**fields, **changes})


def made(settings: MedetectionSettings) -> DifferenceNetwork:
    torch.manual_seed(0)
    return DifferenceNetwork(settings).double().train()


def episode(support: int = 6, query: int = 4, side: int = 32) -> tuple[ImagePairs, ImagePairs]:
    generator = torch.Generator().manual_seed(1)

    def pairs(count: int) -> ImagePairs:
        images = torch.rand(2, count, 3, side, side, generator=generator, dtype=torch.float64)
        return ImagePairs(images[0], images[1], torch.arange(count) % 2)

    return pairs(support), pairs(query)


# The inner steps alone: logistic regression, whose gradient and Hessian are written down below.


def softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def gradient_by_hand(weights: Array, inputs: Array, labels: Array) -> Array:
    """Of the mean cross-entropy of softmax(inputs @ weights). weights: [D, 2]"""
    errors = softmax(inputs @ weights) - np.eye(2)[labels]
    return inputs.T @ errors / len(inputs)


def hessian_by_hand(weights: Array, inputs: Array) -> Array:
    """[D·2, D·2], for weights flattened row by row: the mean of x xᵀ ⊗ (diag(p) − p pᵀ)."""
    blocks = [
        np.kron(np.outer(x, x), np.diag(p) - np.outer(p, p))
        for x, p in zip(inputs, softmax(inputs @ weights), strict=True)
    ]
    return np.mean(blocks, 0)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("order", ["first", "second"])
def test_the_outer_gradient_is_that_of_the_steps_unrolled_by_hand(steps: int, order: str) -> None:
    random = np.random.default_rng(0)
    weights, inputs, judged = (
        random.normal(size=(5, 2)),
        random.normal(size=(7, 5)),
        random.normal(size=(4, 5)),
    )
    labels, wanted, rate = np.array([0, 1, 1, 0, 1, 0, 1]), np.array([1, 0, 0, 1]), 0.7
    moved, path = weights, np.eye(10)
    for _ in range(steps):  # dθ'/dθ = I − α·H(θ), which the first order leaves out
        path = path @ (np.eye(10) - rate * hessian_by_hand(moved, inputs))
        moved = moved - rate * gradient_by_hand(moved, inputs, labels)
    outer = gradient_by_hand(moved, judged, wanted).ravel()
    expected = outer if order == "first" else path @ outer

    given = torch.tensor(weights, requires_grad=True)
    after = adapted(
        lambda parameters: torch.tensor(inputs) @ parameters["w"],
        torch.tensor(labels),
        {"w": given},
        chosen(inner_steps=steps, inner_learning_rate=rate, order=order),
    )["w"]
    np.testing.assert_allclose(after.detach().numpy(), moved, rtol=1e-12)
    F.cross_entropy(torch.tensor(judged) @ after, torch.tensor(wanted)).backward()
    np.testing.assert_allclose(given.grad.numpy().ravel(), expected, rtol=1e-10, atol=1e-14)
    assert torch.equal(given.detach(), torch.tensor(weights))


# The whole network


def gradients(network: DifferenceNetwork, loss: Tensor) -> dict[str, Tensor]:
    names, tensors = zip(*network.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, tensors, allow_unused=True, materialize_grads=True)
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("ways", WAYS)
@pytest.mark.parametrize("steps", [1, 2])
def test_the_second_order_gradient_is_the_slope_of_the_loss(ways: dict, steps: int) -> None:
    settings = chosen(
        inner_steps=steps, inner_learning_rate=0.05 if ways["adapt"] == "head" else 1e-3, **ways
    )
    network, (support, query) = made(settings), episode()
    slopes = gradients(network, episode_loss(network, support, query, settings))
    generator = torch.Generator().manual_seed(2)
    length = 1e-8  # the gradient leaps where a ReLU or a maximum changes sides: as short as float64 allows
    for part in ("stem", "blocks", "head"):
        moved = {name: tensor for name, tensor in network.named_parameters() if name.startswith(part)}
        directions = {
            name: torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            for name, tensor in moved.items()
        }
        ends = []
        for sign in (1, -1):
            other = deepcopy(network)
            for name, tensor in other.named_parameters():
                tensor.data += sign * length * directions[name] if name in moved else 0
            ends.append(float(episode_loss(other, support, query, settings).detach()))
        expected = sum(float((slopes[name] * direction).sum()) for name, direction in directions.items())
        assert (ends[0] - ends[1]) / (2 * length) == pytest.approx(expected, rel=1e-4, abs=1e-6), part


@pytest.mark.parametrize("adapt", ["head", "all"])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_first_order_gradient_is_that_of_the_adapted_network(adapt: str, steps: int) -> None:
    settings = chosen(order="first", adapt=adapt, inner_steps=steps)
    network, (support, query) = made(settings), episode()
    other = deepcopy(network)
    descent = torch.optim.SGD(
        (other.head if adapt == "head" else other).parameters(), settings.inner_learning_rate
    )
    for _ in range(steps):
        descent.zero_grad()
        F.cross_entropy(other.logits(joined(support)), support.labels).backward()
        descent.step()
    expected = gradients(other, F.cross_entropy(other.logits(joined(query)), query.labels))
    found = gradients(network, episode_loss(network, support, query, settings))
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-8, atol=1e-12)


def joined(pairs: ImagePairs) -> Tensor:
    return torch.cat([pairs.references, pairs.images], 1)


@pytest.mark.parametrize("ways", WAYS)
def test_first_and_second_order_part_where_there_is_a_step_and_agree_where_there_is_none(ways: dict) -> None:
    support, query = episode()
    for rate, equal in ((0.05, False), (0.0, True)):
        found = []
        for order in ("first", "second"):
            settings = chosen(order=order, inner_learning_rate=rate, **ways)
            network = made(settings)
            found.append(gradients(network, episode_loss(network, support, query, settings)))
        first, second = found
        assert all(torch.allclose(first[name], second[name], rtol=1e-9) for name in first) is equal


def test_without_a_step_the_query_is_judged_by_the_network_as_it_is() -> None:
    for adapt in ("head", "all"):
        settings = chosen(inner_learning_rate=0.0, adapt=adapt)
        network, (support, query) = made(settings), episode()
        torch.testing.assert_close(
            query_logits(network, support, query, settings), network.logits(joined(query))
        )


def test_the_step_lowers_the_loss_on_its_own_support() -> None:
    for ways in WAYS:
        losses = []
        for rate in (0.0, 1e-5):
            settings = chosen(inner_learning_rate=rate, **ways)
            network, (support, _) = made(settings), episode()
            losses.append(float(episode_loss(network, support, support, settings).detach()))
        assert losses[1] < losses[0]


@pytest.mark.parametrize("ways", WAYS)
def test_an_episode_changes_no_weight(ways: dict) -> None:
    settings = chosen(**ways)
    network, (support, query) = made(settings), episode()
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    episode_loss(network, support, query, settings).backward()
    assert all(torch.equal(before[name], parameter) for name, parameter in network.named_parameters())
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_head_adapted_alone_leaves_the_body_and_adapting_all_does_not() -> None:
    """With a head that cannot change the verdict, only a changed body can."""
    for adapt, same in (("head", True), ("all", False)):
        settings = chosen(adapt=adapt, norm="group")
        network, (support, query) = made(settings), episode()
        support = ImagePairs(
            torch.zeros_like(support.references), torch.zeros_like(support.images), support.labels
        )
        last = network.last_map(network.difference(*network.embed_pairs(joined(support)))[:1])
        judged = query_logits(network, support, query, settings)
        # All support pairs alike: what the head learns of them is a multiple of their pooled features.
        errors = network.decide(last).softmax(1) - 0.5
        features = network.pooled(last)
        head = network.head
        weight = head.weight - settings.inner_learning_rate * errors.T @ features
        bias = head.bias - settings.inner_learning_rate * errors[0]
        pooled = network.pooled(network.last_map(network.difference(*network.embed_pairs(joined(query)))))
        assert torch.allclose(judged, F.linear(pooled, weight, bias)) is same


@pytest.mark.parametrize("ways", WAYS)
def test_the_answer_for_a_query_image_depends_on_no_other_and_on_no_query_label(ways: dict) -> None:
    settings = chosen(**ways)
    network, (support, query) = made(settings), episode()
    before = query_logits(network, support, query, settings)
    images, references = query.images.clone(), query.references.clone()
    images[2], references[2] = 1 - images[2], 0
    after = query_logits(network, support, ImagePairs(references, images, 1 - query.labels), settings)
    for place in (0, 1, 3):
        torch.testing.assert_close(after[place], before[place], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(after[2], before[2])
    alone = query_logits(network, support, ImagePairs(*(part[:1] for part in parts(query))), settings)
    torch.testing.assert_close(alone, before[:1], rtol=1e-9, atol=1e-12)


def parts(pairs: ImagePairs) -> tuple[Tensor, Tensor, Tensor]:
    return pairs.references, pairs.images, pairs.labels


@pytest.mark.parametrize("adapt", ["head", "all"])
def test_stored_statistics_follow_the_support_alone(adapt: str) -> None:
    settings = chosen(norm="batch", adapt=adapt)
    support, query = episode()
    stored = []
    for judged in (query, ImagePairs(query.references, 1 - query.images, query.labels)):
        network = made(settings)
        episode_loss(network, support, judged, settings)
        stored.append({name: tensor.clone() for name, tensor in network.named_buffers()})
    assert any("running_mean" in name and tensor.any() for name, tensor in stored[0].items())
    for name, tensor in stored[0].items():
        torch.testing.assert_close(tensor, stored[1][name], rtol=1e-12, atol=1e-12)


def test_evaluation_mode_stores_nothing() -> None:
    settings = chosen(norm="batch")
    network, (support, query) = made(settings).eval(), episode()
    episode_loss(network, support, query, settings)
    assert not network.blocks[0].norm.running_mean.any()


@pytest.mark.parametrize("ways", WAYS)
def test_features_of_a_frozen_stem_serve_as_its_images_would(ways: dict) -> None:
    changes = {"backbone": "resnet18", "backbone_level": "layer1", **ways}
    frozen, learning = chosen(**changes), chosen(**changes, backbone_frozen=False)
    network, (support, query) = made(frozen), episode()
    from_features = query_logits(network, *(embedded(network, pairs) for pairs in (support, query)), frozen)
    from_images = query_logits(
        network, support, query, learning
    )  # its stem's weights are not among those adapted
    torch.testing.assert_close(from_features, from_images, rtol=1e-9, atol=1e-10)


def embedded(network: DifferenceNetwork, pairs: ImagePairs) -> ImagePairs:
    return ImagePairs(network.embed(pairs.references), network.embed(pairs.images), pairs.labels)


def test_a_head_that_is_reset_starts_each_episode_from_zero_and_is_not_trained() -> None:
    for adapt in ("head", "all"):
        settings = chosen(reset_head=True, adapt=adapt)
        network, (support, query) = made(settings), episode()
        assert not network.head.weight.any()
        episode_loss(network, support, query, settings).backward()
        assert network.head.weight.grad is None
        first = query_logits(network, support, query, settings)
        torch.nn.init.normal_(network.head.weight)
        torch.testing.assert_close(query_logits(network, support, query, settings), first)
    assert all(parameter.grad is not None for parameter in network.blocks.parameters())


def test_the_same_episode_gives_the_same_loss_under_lower_precision() -> None:
    for ways in WAYS:
        settings = chosen(**ways, inner_learning_rate=1e-3)
        network, (support, query) = made(settings).float(), episode()
        support, query = (
            ImagePairs(pairs.references.float(), pairs.images.float(), pairs.labels)
            for pairs in (support, query)
        )
        exact = episode_loss(network, support, query, settings)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = episode_loss(network, support, query, settings)
        assert rounded.dtype == torch.float32
        assert float(rounded.detach()) == pytest.approx(float(exact.detach()), abs=0.1)


def test_meta_training_on_a_toy_teaches_a_new_product() -> None:
    settings = chosen(attention="low", inner_learning_rate=1e-3, stem_widths=(8, 12, 16), widths=8)
    torch.manual_seed(0)
    network = DifferenceNetwork(settings).train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3, betas=(settings.beta1, settings.beta2))
    generator = torch.Generator().manual_seed(0)
    for step in range(80):
        loss = episode_loss(network, toy(step % 6, 8, generator), toy(step % 6, 8, generator), settings)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    unseen = toy(7, 64, generator)
    with torch.no_grad():
        verdicts = network.eval()(joined(unseen))[:, 0] > 0
    assert (verdicts.long() == unseen.labels).double().mean() > 0.9


def toy(product: int, count: int, generator: torch.Generator) -> ImagePairs:
    """A smooth surface of its own for each product; every other image has a brighter or darker square."""
    own = torch.Generator().manual_seed(product)
    surface = F.interpolate(torch.rand(1, 3, 5, 5, generator=own), size=32, mode="bilinear")
    noise = 0.05 * torch.randn(2, count, 3, 32, 32, generator=generator)
    references, images = surface + noise
    corners = torch.randint(2, 22, (count, 2), generator=generator)
    for number in range(1, count, 2):
        top, left = corners[number].tolist()
        images[number, :, top : top + 8, left : left + 8] += 0.3 if product % 2 else -0.3
    return ImagePairs(references.clamp(0, 1), images.clamp(0, 1), torch.arange(count) % 2)
