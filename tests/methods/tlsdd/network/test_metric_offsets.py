"""The metric head as able as a linear one: offsets, biases, scale, centre, and a linear head beside it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.network.running_means import k_means, update_mean
from blemish.methods.tlsdd.network.scores import (
    Embedding,
    LinearScores,
    MetricScores,
    averaged_with_linear,
    classification_loss,
)
from blemish.methods.tlsdd.training.fitting import with_offsets
from tests.methods.tlsdd.conftest import tiny

KNOWN = torch.ones(3, dtype=torch.bool)
NEW = {
    "log_scale": True, "centred": True, "background_init": "k-means", "prototype_offsets": True,
    "linear_head": True,
}  # fmt: skip


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def unit(*shape, seed=0):
    return F.normalize(normal(*shape, seed=seed), dim=-1)


# Offsets and biases


def test_offsets_and_biases_make_any_linear_classifier_of_rows_of_one_length():
    """On unit vectors −s‖f − p‖² + b = 2s p·f + (b − 2s): the rows 2s p of a linear layer, whatever p was."""
    scores = MetricScores(tiny(prototype_offsets=True, initial_scale=5.0), 3)
    rows, intercepts, points, regions = (
        unit(4, 16),
        normal(4, seed=1),
        unit(3, 16, seed=2),
        unit(7, 16, seed=3),
    )
    scores.offsets.data.copy_(rows[:3] - points)
    scores.biases.data.copy_(intercepts[:3])
    scores.points.data.copy_(rows[3:])
    scores.background_bias.data.copy_(intercepts[3])
    moved, biases = scores.moved(points)
    found = scores(regions[:, None], regions, moved, KNOWN, biases)
    expected = (10 * regions @ rows.T + intercepts).log_softmax(1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("logits", ["diagonal", "branch"])
def test_at_the_start_offsets_change_nothing_and_learn_nothing(logits):
    torch.manual_seed(0)
    plain = MetricScores(tiny(logits=logits), 3)
    offset = MetricScores(tiny(logits=logits, prototype_offsets=True), 3)
    offset.load_state_dict(plain.state_dict(), strict=False)
    points, regions = unit(3, 16, seed=1), unit(5, 3, 16, seed=2)
    moved, biases = offset.moved(points)
    arguments = (regions, regions.mean(1))
    found = offset(*arguments, moved, KNOWN, biases)
    torch.testing.assert_close(found, plain(*arguments, points, KNOWN))
    classification_loss(found, torch.tensor([0, 1, 2, 3, 3])).backward()
    assert offset.offsets.grad is None and offset.biases.grad is None and offset.background_bias.grad is None
    offset.learn_offsets()
    moved, biases = offset.moved(points)
    classification_loss(offset(*arguments, moved, KNOWN, biases), torch.tensor([0, 1, 2, 3, 3])).backward()
    assert all(parameter.grad.any() for parameter in (offset.offsets, offset.biases, offset.background_bias))


def test_the_bank_holds_moved_prototypes_and_a_new_class_has_no_bias():
    detector = Detector(tiny(prototype_offsets=True), 3)
    detector.scores.offsets.data.copy_(normal(3, 16))
    detector.scores.biases.data.copy_(torch.tensor([1.0, -2.0, 0.5]))
    entries = [
        type("Entry", (), {"vector": np.ones(32, np.float32), "prototype": row.numpy()})()
        for row in unit(3, 16, seed=1)
    ]
    bank = with_offsets(ClassBank.from_entries(entries, [True] * 3, np.zeros(32, np.uint8)), detector)
    expected = F.normalize(unit(3, 16, seed=1) + normal(3, 16), dim=1)
    np.testing.assert_allclose(bank.prototypes, expected, atol=1e-6)
    larger = bank.with_classes(entries[:1])
    assert larger.biases.tolist() == [1.0, -2.0, 0.5, 0.0]
    again = ClassBank.from_tensors(larger.to_torch().to_bank().tensors(), detector.settings, 4)
    for name, array in larger.tensors().items():
        np.testing.assert_array_equal(array, again.tensors()[name])
    without = ClassBank.empty(tiny(), 3)
    assert "biases" not in without.tensors() and with_offsets(without, Detector(tiny(), 3)) is without


def test_a_grown_detector_keeps_offsets_and_linear_rows_of_old_classes():
    base, grown = Detector(tiny(**NEW), 2), Detector(tiny(**NEW), 3)
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.add_(0.1 * normal(*parameter.shape))
    first = grown.linear_head.linear.weight[2].clone()
    grown.grow_from(base)
    old, new = base.linear_head.linear, grown.linear_head.linear
    assert torch.equal(new.weight[[0, 1, 3]], old.weight) and torch.equal(new.weight[2], first)
    assert torch.equal(new.bias[[0, 1, 3]], old.bias)
    assert torch.equal(grown.scores.offsets[:2], base.scores.offsets) and not grown.scores.offsets[2].any()
    assert torch.equal(grown.scores.biases[:2], base.scores.biases) and not grown.scores.biases[2]


# The scale


@pytest.mark.parametrize(("raw", "expected"), [(-3.0, 1.0), (math.log(7), 7.0), (9.0, 50.0)])
def test_the_logarithm_of_the_scale_is_held_in_its_range(raw, expected):
    scores = MetricScores(tiny(log_scale=True), 3)
    scores.raw_scale.data.fill_(raw)
    assert float(scores.scale().detach()) == pytest.approx(expected)


def test_a_step_on_the_logarithm_moves_the_scale_by_a_share_of_it():
    """One step of rate r on log s moves s to s·exp(−r·s·g), where it moves by r·g alone otherwise."""
    moved = {}
    for log_scale in (False, True):
        torch.manual_seed(0)
        scores = MetricScores(tiny(log_scale=log_scale, initial_scale=10.0), 3)
        assert float(scores.scale().detach()) == pytest.approx(10.0)
        points, regions = unit(3, 16, seed=1), unit(8, 16, seed=2)
        found = scores(regions[:, None], regions, points, KNOWN)
        classification_loss(found, torch.full((8,), 3)).backward()
        with torch.no_grad():
            scores.raw_scale -= 0.01 * scores.raw_scale.grad
        moved[log_scale] = float(scores.scale().detach())
    gradient = (10.0 - moved[False]) / 0.01
    assert moved[True] == pytest.approx(10.0 * math.exp(-0.01 * 10.0 * gradient), rel=1e-4)


# The centre


def test_a_centred_embedding_sees_the_difference_to_the_mean_of_what_it_observed():
    torch.manual_seed(0)
    embedding = Embedding(tiny(centred=True))
    embedding.linear.bias.data.zero_()
    batches = [normal(6, 64, seed=seed).abs() + 5 for seed in range(4)]
    for batch in batches:
        embedding.observe(batch)
    mean = torch.stack([batch.mean(0) for batch in batches]).mean(0)
    torch.testing.assert_close(embedding.mean, mean)
    weight = embedding.linear.weight.detach()
    expected = F.normalize((batches[0] - mean) @ weight.T, dim=1)
    torch.testing.assert_close(embedding(batches[0]).detach(), expected)
    cone = F.normalize(batches[0] @ weight.T, dim=1)
    assert float((cone @ cone.T).mean()) > 0.9
    assert float((expected @ expected.T).mean()) < 0.5


def test_a_running_mean_moves_by_a_hundredth_once_it_has_seen_a_hundred():
    mean, observed = torch.zeros(1, 2), torch.tensor(500.0)
    update_mean(mean, observed, torch.full((3, 2), 2.0))
    assert mean.tolist() == [[pytest.approx(0.02), pytest.approx(0.02)]] and float(observed) == 501
    update_mean(mean, observed, torch.zeros(0, 2))
    assert float(observed) == 501


# The background's start


def test_k_means_finds_clusters_that_lie_apart():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    vectors = torch.cat([centre + 0.5 * normal(20, 2, seed=seed) for seed, centre in enumerate(centres)])
    found = k_means(vectors[torch.randperm(60, generator=torch.Generator().manual_seed(1))], 3)
    expected = torch.stack([vectors[20 * number : 20 * number + 20].mean(0) for number in range(3)])
    nearest = torch.cdist(expected, found).amin(1)
    assert nearest.max() < 1e-4
    torch.testing.assert_close(k_means(vectors, 1)[0], vectors.mean(0))
    assert torch.isfinite(k_means(vectors[:1], 4)).all()


@pytest.mark.parametrize("background", ["learned", "several"])
def test_background_points_start_at_the_background_once(background):
    scores = MetricScores(tiny(background=background, background_init="k-means"), 3)
    regions = F.normalize(unit(1, 16, seed=1) + 0.1 * normal(40, 16, seed=2), dim=1)
    assert scores.starts
    scores.start_background(regions[:0])
    assert scores.starts, "no background region yet"
    scores.start_background(regions)
    found = scores(regions[:, None], regions, -regions[:3], KNOWN)
    assert float(found[:, 3].exp().mean()) > 0.9 and not scores.starts
    again = MetricScores(tiny(background=background, background_init="k-means"), 3)
    again.load_state_dict(scores.state_dict())
    assert not again.starts, "a resumed training goes on"


# The linear head


def test_probabilities_are_the_mean_of_both_heads_for_classes_that_have_a_row():
    torch.manual_seed(0)
    linear = LinearScores(tiny(), 3)
    linear.linear.bias.data.normal_()
    hidden = normal(6, 5, 64)
    shared = hidden.mean(1)
    for classes in (3, 5, 2):
        known = torch.ones(classes, dtype=torch.bool)
        known[1] = False
        metric = torch.randn(6, classes + 1).masked_fill(~torch.cat([known, known[:1]]), -math.inf)
        metric = metric.log_softmax(1)
        found = averaged_with_linear(metric, linear, hidden[:, :classes], shared, known).exp()
        rows = min(3, classes)
        logits = (hidden[:, :rows] * linear.linear.weight[:rows]).sum(-1) + linear.linear.bias[:rows]
        logits = logits.masked_fill(~known[:rows], -math.inf)
        background = shared @ linear.linear.weight[3] + linear.linear.bias[3]
        own = torch.cat([logits, background[:, None]], 1).softmax(1)
        expected = metric.exp().clone()
        expected[:, :rows] = (expected[:, :rows] + own[:, :rows]) / 2
        expected[:, -1] = (expected[:, -1] + own[:, -1]) / 2
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        assert not found[:, 1].any()
