"""The metric head against hand computations on 2-D vectors, and the properties every classifier must have."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from blemish.methods.tlsdd.network.scores import (
    Embedding,
    LinearScores,
    MetricScores,
    branch_loss,
    classification_loss,
    prototypes,
    squared_distances,
)
from blemish.methods.tlsdd.settings import TlsddSettings

BACKGROUNDS = ["learned", "several", "one_minus_max", "rpn_negatives"]
# On the unit circle: class 0 to the right, class 1 upwards, the region at 60°, the background to the left.
REGION = torch.tensor([[0.5, math.sqrt(0.75)]])
CENTRES = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
BOTH = torch.tensor([True, True])
ALL_KNOWN = torch.ones(3, dtype=torch.bool)
NEAR, FAR = 1.0, 2 - math.sqrt(3)  # squared chords of 60° and 30°


def tiny(**changes: object) -> TlsddSettings:
    return TlsddSettings(preset="tiny", **changes)


def planar(**changes: object) -> MetricScores:
    """A metric head on the plane, scale 2, background to the left."""
    scores = MetricScores(tiny(embedding=2, initial_scale=2.0, **changes), 2)
    if hasattr(scores, "points"):
        scores.points.data[:] = torch.tensor([-3.0, 0.0])  # its length must not matter
    return scores


def unit(*shape: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def probabilities(scores: MetricScores, region: Tensor = REGION, known: Tensor = BOTH) -> list[float]:
    found: list[float] = scores(region[:, None], region, CENTRES, known).exp()[0].tolist()
    return found


def softmax(*logits: float) -> list[float]:
    total = sum(math.exp(one) for one in logits)
    return [math.exp(one) / total for one in logits]


# Distances and prototypes


def test_distances_by_hand() -> None:
    assert squared_distances(REGION[:, None], CENTRES)[0].tolist() == pytest.approx([NEAR, FAR])
    each = torch.stack([REGION, CENTRES[:1]], 1)  # one embedding for each class
    assert squared_distances(each, CENTRES)[0].tolist() == pytest.approx([NEAR, 2.0])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(2, 300), st.floats(-1, 1))
def test_unit_vectors_lie_within_4(seed: int, size: int, along: float) -> None:
    regions = unit(5, 3, size, seed=seed)
    centres = F.normalize(along * regions[0] + (1 - abs(along)) * unit(3, size, seed=seed + 1), dim=-1)
    distances = squared_distances(regions, centres)
    assert distances.min() >= 0
    assert distances.max() <= 4 + 1e-5
    assert torch.allclose(distances, 2 - 2 * (regions * centres).sum(-1), atol=1e-5)


def test_autocast_leaves_distances_and_probabilities_in_fp32() -> None:
    regions, centres, embed = unit(5, 3, 16, seed=0), unit(3, 16, seed=1), Embedding(tiny())
    hidden = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    scores = MetricScores(tiny(), 3)
    exact = scores(regions, regions[:, 0], centres, torch.ones(3, dtype=torch.bool))
    with torch.autocast("cpu", torch.bfloat16):
        distances = squared_distances(regions, centres)
        found = scores(regions, regions[:, 0], centres, torch.ones(3, dtype=torch.bool))
        embedded = embed(hidden)
    assert distances.dtype == found.dtype == embedded.dtype == torch.float32
    assert torch.equal(distances, squared_distances(regions, centres))
    assert torch.equal(found, exact)
    assert torch.equal(embedded, embed(hidden))


def test_prototypes_are_means_brought_back_to_unit_norm() -> None:
    supports = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    points, known = prototypes(supports, torch.tensor([2, 2, 0]), 3, normalize=True)
    assert known.tolist() == [True, False, True]
    assert points[0].tolist() == pytest.approx([0.6, 0.8])
    assert points[1].tolist() == [0, 0]
    assert points[2].tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    literal, _ = prototypes(supports, torch.tensor([2, 2, 0]), 3, normalize=False)
    assert literal[2].tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("normalize", [True, False])
def test_embeddings_are_of_unit_norm_where_set(normalize: bool) -> None:
    norms = Embedding(tiny(normalize=normalize))(100 * unit(2, 3, 64, seed=0)).norm(dim=-1)
    assert norms.shape == (2, 3)
    assert torch.allclose(norms, torch.ones(2, 3), atol=1e-5) == normalize


# Each background by hand


def test_learned_background() -> None:
    assert probabilities(planar()) == pytest.approx(softmax(-2 * NEAR, -2 * FAR, -2 * 3.0))


def test_several_backgrounds_add_their_probabilities() -> None:
    scores = planar(background="several", backgrounds=2)
    scores.points.data[1] = torch.tensor([0.0, -1.0])
    both = math.log(math.exp(-2 * 3.0) + math.exp(-2 * (2 + math.sqrt(3))))
    assert probabilities(scores) == pytest.approx(softmax(-2 * NEAR, -2 * FAR, both))


def test_background_is_what_no_class_claims() -> None:
    claims = [math.exp(-2 * NEAR), math.exp(-2 * FAR)]
    parts = [*claims, 1 - max(claims)]
    expected = [part / sum(parts) for part in parts]
    assert probabilities(planar(background="one_minus_max")) == pytest.approx(expected)
    scores = planar(background="one_minus_max")
    assert not list(scores.buffers())
    assert [name for name, _ in scores.named_parameters()] == ["raw_scale"]


def test_background_from_observed_negatives() -> None:
    scores = planar(background="rpn_negatives")
    assert not [name for name, _ in scores.named_parameters() if name == "points"]
    scores.observe_background(torch.tensor([[0.0, -1.0], [-1.0, 0.0]]))
    scores.observe_background(torch.tensor([[0.0, 1.0], [0.0, 1.0]]))  # mean of both calls: (−0.25, 0.25)
    assert scores.points[0].tolist() == pytest.approx([-0.25, 0.25])
    chord = (0.5 + math.sqrt(0.5)) ** 2 + (math.sqrt(0.75) - math.sqrt(0.5)) ** 2
    assert probabilities(scores) == pytest.approx(softmax(-2 * NEAR, -2 * FAR, -2 * chord))


def test_the_observed_mean_moves_slowly_later_and_never_in_forward() -> None:
    scores = planar(background="rpn_negatives")
    for _ in range(200):
        scores.observe_background(torch.tensor([[1.0, 0.0]]))
    scores.observe_background(torch.tensor([[0.0, 1.0]]))
    assert scores.points[0].tolist() == pytest.approx([0.99, 0.01], abs=1e-4)
    before = {name: tensor.clone() for name, tensor in scores.state_dict().items()}
    scores.observe_background(torch.zeros(0, 2))
    probabilities(scores.train())
    assert all(torch.equal(tensor, before[name]) for name, tensor in scores.state_dict().items())


def test_the_literal_form_has_neither_scale_nor_unit_vectors() -> None:
    scores = planar(normalize=False)
    region = torch.tensor([[3.0, 0.0]])
    expected = softmax(-4.0, -10.0, -36.0)
    assert probabilities(scores, region) == pytest.approx(expected)
    assert [name for name, _ in scores.named_parameters()] == ["points"]


# Branches


def test_branches_by_hand() -> None:
    scores = planar(logits="branch")
    per_class = torch.stack(
        [REGION, CENTRES[1:]], 1
    )  # under class 0's weights at 60°, under class 1's at 90°
    found = scores.branches(per_class, REGION, CENTRES, BOTH).exp()
    first = softmax(-2 * NEAR, -2 * FAR, -2 * 3.0)
    second = softmax(-2 * 2.0, 0.0, -2 * 3.0)
    assert found[0, 0].tolist() == pytest.approx(first)
    assert found[0, 1].tolist() == pytest.approx(second)
    parts = [first[0], second[1], (first[2] + second[2]) / 2]
    merge_branches = scores(per_class, REGION, CENTRES, BOTH).exp()[0].tolist()
    assert merge_branches == pytest.approx([part / sum(parts) for part in parts])
    loss = branch_loss(found.log(), torch.tensor([1]), BOTH)
    assert loss.item() == pytest.approx(-(math.log(first[1]) + math.log(second[1])) / 2)


def test_an_unknown_class_has_no_branch_in_the_loss() -> None:
    scores = planar(logits="branch")
    known = torch.tensor([True, False])
    found = scores.branches(torch.stack([REGION, CENTRES[1:]], 1), REGION, CENTRES, known)
    expected = -math.log(softmax(-2 * NEAR, -2 * 3.0)[1])
    assert branch_loss(found, torch.tensor([2]), known).item() == pytest.approx(expected)


# What holds for all of them


def metric_row(scores: MetricScores, per_class: Tensor, points: Tensor, known: Tensor) -> Tensor:
    return scores(per_class, per_class.mean(1), points, known)


@pytest.mark.parametrize("logits", ["diagonal", "branch"])
@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("known", [[True, False, True], [False, False, False], [True, True, True]])
def test_an_unknown_class_never_wins_and_gradients_stay_finite(
    background: str, logits: str, known: list[bool]
) -> None:
    torch.manual_seed(0)
    scores = MetricScores(tiny(background=background, logits=logits), 3)
    points = unit(3, 16, seed=1).requires_grad_()
    regions = points.detach()[None].repeat(4, 1, 1).requires_grad_()  # each as close as can be to every class
    mask = torch.tensor(known)
    found = metric_row(scores, regions, points, mask)
    assert torch.allclose(found.exp().sum(1), torch.ones(4), atol=1e-5)
    assert found.exp()[:, :3][:, ~mask].eq(0).all()
    assert found.exp()[:, :3][:, mask].gt(0).all()
    labels = torch.tensor([3, -1, 0, 0]) if known[0] else torch.tensor([3, -1, 3, -2])
    loss = classification_loss(found, labels)
    if logits == "branch":
        loss = loss + branch_loss(scores.branches(regions, regions.mean(1), points, mask), labels, mask)
    loss.backward()
    assert torch.isfinite(loss)
    gradients = [regions.grad, points.grad, *(p.grad for p in scores.parameters() if p.grad is not None)]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert points.grad[~mask].eq(0).all()


@pytest.mark.parametrize("logits", ["diagonal", "branch"])
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_permuted_classes_are_permuted(background: str, logits: str) -> None:
    torch.manual_seed(0)
    scores = MetricScores(tiny(background=background, logits=logits), 3)
    regions, points, known = unit(5, 3, 16, seed=0), unit(3, 16, seed=1), torch.tensor([True, True, False])
    order = [2, 0, 1]
    one = metric_row(scores, regions, points, known)
    other = scores(regions[:, order], regions.mean(1), points[order], known[order])
    assert torch.allclose(one[:, [*order, 3]], other, atol=1e-6)


@pytest.mark.parametrize("logits", ["diagonal", "branch"])
def test_one_embedding_for_all_classes_equals_itself_repeated(logits: str) -> None:
    torch.manual_seed(0)
    scores, linear = MetricScores(tiny(logits=logits), 3), LinearScores(tiny(logits=logits), 3)
    shared, points, known = unit(5, 16, seed=0), unit(3, 16, seed=1), torch.tensor([True, True, False])
    repeated = shared[:, None].repeat(1, 3, 1)
    expected = scores(repeated, shared, points, known)
    assert torch.allclose(scores(shared[:, None], shared, points, known), expected, atol=1e-6)
    hidden = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        linear(hidden[:, None], hidden, known),
        linear(hidden[:, None].repeat(1, 3, 1), hidden, known),
        atol=1e-6,
    )
    if logits == "branch":  # all branches agree, so that joining them is one softmax
        assert torch.allclose(
            expected, MetricScores.forward(diagonal_twin(scores), repeated, shared, points, known)
        )


def diagonal_twin(scores: MetricScores) -> MetricScores:
    twin = MetricScores(tiny(logits="diagonal"), 3)
    twin.load_state_dict(scores.state_dict())
    return twin


def test_no_region() -> None:
    empty, known = torch.zeros(0, 16), torch.ones(3, dtype=torch.bool)
    for logits in ("diagonal", "branch"):
        scores = MetricScores(tiny(logits=logits), 3)
        assert scores(empty[:, None], empty, unit(3, 16, seed=0), known).shape == (0, 4)
    assert float(classification_loss(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))) == 0


# The scale


@pytest.mark.parametrize(("raw", "expected"), [(-3.0, 1.0), (7.0, 7.0), (80.0, 50.0)])
def test_the_scale_is_held_in_its_range(raw: float, expected: float) -> None:
    scores = planar()
    scores.raw_scale.data.fill_(raw)
    expected_row = softmax(-expected * NEAR, -expected * FAR, -expected * 3.0)
    assert probabilities(scores) == pytest.approx(expected_row)


@pytest.mark.parametrize(
    ("raw", "label", "moves"), [(80.0, 2, True), (80.0, 1, False), (0.5, 2, False), (0.5, 1, True)]
)
def test_a_scale_outside_comes_back_but_goes_no_further(raw: float, label: int, moves: bool) -> None:
    # The region is nearest to class 1: that label wants a larger scale, the background's a smaller one.
    scores = planar()
    scores.raw_scale.data.fill_(raw)
    found = scores(REGION[:, None], REGION, CENTRES, BOTH)
    classification_loss(found, torch.tensor([label])).backward()
    assert (float(scores.raw_scale.grad) != 0) == moves
    if moves:
        assert (float(scores.raw_scale.grad) > 0) == (raw == 80.0)


# Linear baselines and the loss


def test_linear_scores_are_one_softmax_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    linear = LinearScores(tiny(), 3)
    linear.linear.bias.data.normal_()
    hidden = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    plain = linear.linear(hidden)
    assert torch.allclose(linear(hidden[:, None], hidden, ALL_KNOWN), plain.log_softmax(1), atol=1e-5)
    known = torch.tensor([True, False, True])
    found = linear(hidden[:, None], hidden, known).exp()
    assert found[:, 1].eq(0).all()
    assert torch.allclose(found[:, [0, 2, 3]], plain[:, [0, 2, 3]].softmax(1), atol=1e-5)


def test_linear_scores_read_each_class_from_its_own_features() -> None:
    torch.manual_seed(0)
    linear = LinearScores(tiny(), 3)
    generator = torch.Generator().manual_seed(0)
    per_class, shared = torch.randn(5, 3, 64, generator=generator), torch.randn(5, 64, generator=generator)
    expected = torch.stack(
        [*(linear.linear(per_class[:, k])[:, k] for k in range(3)), linear.linear(shared)[:, 3]], 1
    )
    assert torch.allclose(linear(per_class, shared, ALL_KNOWN), expected.log_softmax(1), atol=1e-5)


def test_the_loss_is_the_mean_over_labelled_regions() -> None:
    rows = torch.tensor([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]]).log()
    loss = classification_loss(rows, torch.tensor([2, 0, -1, -2]))
    assert float(loss) == pytest.approx(-(math.log(0.5) + math.log(0.7)) / 2)
    assert float(classification_loss(rows, torch.full((4,), -1))) == 0


def test_an_oracle_embedding_is_sure_and_right() -> None:
    points = F.normalize(torch.eye(3, 16), dim=-1)
    scores = MetricScores(tiny(), 3)
    scores.points.data[:] = torch.eye(16)[5]
    found = scores(points[:, None], points, points, torch.ones(3, dtype=torch.bool)).exp()
    assert found[:, :3].diagonal().min() > 0.999
