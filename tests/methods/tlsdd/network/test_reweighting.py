"""Class vectors: means against loops, and a reweighting that may happen before or after RoIAlign."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from blemish.methods.tlsdd.network.reweighting import SupportEncoder, class_means, means_of_others, reweighted
from blemish.methods.tlsdd.settings import TlsddSettings


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(**changes: object) -> TlsddSettings:
    return TlsddSettings(preset="tiny", **changes)


def test_reweighting_before_roi_align_equals_after() -> None:
    features, vector = drawn(2, 6, 9, 11), drawn(6, seed=1)
    boxes = [
        torch.tensor([[1.0, 2.0, 30.5, 20.0], [-3.0, 0.0, 9.0, 50.0]]),
        torch.tensor([[0.0, 0.0, 44.0, 36.0]]),
    ]
    before = roi_align(reweighted({"0": features}, vector)["0"], boxes, 7, 0.25, 2, aligned=True)
    after = roi_align(features, boxes, 7, 0.25, 2, aligned=True) * vector[None, :, None, None]
    assert torch.allclose(before, after, atol=1e-6)
    assert not torch.allclose(before, roi_align(features, boxes, 7, 0.25, 2, aligned=True), atol=0.1)


def test_one_vector_per_image_or_for_all_and_the_dtype_of_the_map() -> None:
    features, vectors = drawn(2, 6, 3, 4), drawn(2, 6, seed=1)
    each = reweighted({"0": features, "1": features[..., :1]}, vectors)
    assert torch.equal(each["0"][1, 5], features[1, 5] * vectors[1, 5])
    assert each["1"].shape == (2, 6, 3, 1)
    assert torch.equal(reweighted({"0": features}, vectors[0])["0"][0], each["0"][0])
    assert reweighted({"0": features.bfloat16()}, vectors)["0"].dtype == torch.bfloat16


def test_class_means_are_those_of_a_loop_and_leave_unlabelled_supports_out() -> None:
    values, labels = drawn(7, 3), torch.tensor([2, 0, 2, -1, 0, 2, 4])
    means, known = class_means(values, labels, 5)
    assert known.tolist() == [True, False, True, False, True]
    for label in range(5):
        mine = [values[i] for i in range(7) if labels[i] == label]
        expected = torch.stack(mine).mean(0) if mine else torch.zeros(3)
        assert torch.allclose(means[label], expected, atol=1e-6)


def test_leave_one_out_by_brute_force() -> None:
    values, labels = drawn(6, 3), torch.tensor([1, 0, 1, 1, 0, 2])
    means, has_others = means_of_others(values, labels)
    for i in range(6):
        others = [values[j] for j in range(6) if j != i and labels[j] == labels[i]]
        assert bool(has_others[i]) == bool(others)
        assert torch.allclose(means[i], torch.stack(others).mean(0) if others else torch.zeros(3), atol=1e-6)


def test_a_support_has_no_say_in_its_own_vector() -> None:
    values = drawn(4, 3).requires_grad_()
    means, _ = means_of_others(values, torch.tensor([0, 0, 0, 1]))
    means[1].sum().backward()
    assert values.grad[:, 0].tolist() == pytest.approx([0.5, 0, 0.5, 0])


def test_means_stay_fp32_under_autocast() -> None:
    values, labels = 1 + drawn(4, 3) * 1e-4, torch.tensor([0, 0, 1, 1])
    with torch.autocast("cpu", torch.bfloat16):
        means, _ = class_means(values.requires_grad_(), labels, 2)
        others, _ = means_of_others(values, labels)
    assert torch.allclose(means[0], values[:2].mean(0), atol=1e-7)
    assert torch.allclose(others[0], values[1], atol=1e-7)


@pytest.mark.parametrize("activation", ["sigmoid", "identity"])
def test_every_weight_starts_at_one_and_learns(activation: str) -> None:
    torch.manual_seed(0)
    encoder = SupportEncoder(tiny(activation=activation))
    supports = torch.rand(3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    vectors = encoder(supports)
    assert vectors.dtype == torch.float32
    assert torch.equal(vectors, torch.ones(3, 32))
    vectors.square().sum().backward()
    assert encoder.linear.weight.grad.abs().sum() > 0
    encoder.linear.weight.data.normal_()
    moved = encoder(supports)
    assert moved.std(0).min() > 0
    assert (moved.min() < 0) == (activation == "identity")
    assert (moved.max() <= 2) == (activation == "sigmoid")


def test_a_support_alone_gives_what_it_gives_among_others() -> None:
    torch.manual_seed(0)
    encoder = SupportEncoder(tiny(support_widths=(8, 12, 20)))
    encoder.linear.weight.data.normal_()
    supports = torch.rand(3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(encoder(supports)[1:2], encoder(supports[1:2]), atol=1e-6)
    assert encoder.train()(supports).equal(encoder.eval()(supports))


def test_the_mask_changes_the_vector() -> None:
    torch.manual_seed(0)
    encoder = SupportEncoder(tiny())
    encoder.linear.weight.data.normal_()
    support = torch.zeros(2, 4, 64, 64)
    support[0, 3, 16:48, 16:48] = 1
    support[1, 3, 30:34, :] = 1
    one, other = encoder(support)
    assert not torch.allclose(one, other, atol=1e-3)
