"""The factorised first layer against the plain one, in value and gradient, whole and in chunks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from blemish.methods.tlsdd.network import region_head
from blemish.methods.tlsdd.network.region_head import RegionHead
from blemish.methods.tlsdd.settings import TlsddSettings


@pytest.fixture
def head() -> RegionHead:
    torch.manual_seed(0)
    return RegionHead(TlsddSettings(preset="tiny", width=12, hidden=20, region_size=5))


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_per_class(head: RegionHead, regions: Tensor, vectors: Tensor) -> Tensor:
    """The whole head once per class."""
    return torch.stack([head(regions * vector[None, :, None, None]) for vector in vectors], 1)


@pytest.mark.parametrize(("chunk", "kept"), [(64, 64), (3, 64), (3, 3)])
def test_factorised_equals_plain_in_value_and_gradient(
    head: RegionHead, monkeypatch: pytest.MonkeyPatch, chunk: int, kept: int
) -> None:
    monkeypatch.setattr(region_head, "TERMS_BYTES", 4 * chunk * 12 * 20)
    monkeypatch.setattr(region_head, "KEPT_BYTES", 4 * kept * 12 * 20)
    gradients = []
    for compute in (RegionHead.per_class, plain_per_class):
        regions, vectors = drawn(8, 12, 5, 5, seed=1).requires_grad_(), drawn(3, 12, seed=2).requires_grad_()
        hidden = compute(head, regions, vectors)
        assert hidden.shape == (8, 3, 20)
        head.zero_grad()
        (hidden * drawn(8, 3, 20, seed=3)).sum().backward()
        gradients.append(
            [hidden.detach(), regions.grad, vectors.grad, *(p.grad.clone() for p in head.parameters())]
        )
    for factorised, plain in zip(*gradients, strict=True):
        assert plain.abs().max() > 0
        assert torch.allclose(factorised, plain, atol=1e-5)


def test_the_terms_stay_within_their_budget(head: RegionHead, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    bmm = torch.bmm
    monkeypatch.setattr(region_head, "TERMS_BYTES", 4 * 3 * 12 * 20)
    monkeypatch.setattr(torch, "bmm", lambda *pair: sizes.append(bmm(*pair).numel() * 4) or bmm(*pair))
    head.per_class(drawn(8, 12, 5, 5, seed=1), drawn(3, 12, seed=2))
    assert sizes == [4 * rows * 12 * 20 for rows in (3, 3, 2)]


def test_terms_beyond_the_budget_are_not_kept_for_the_gradient(
    head: RegionHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept_sizes() -> list[int]:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda kept: sizes.append(kept.numel()) or kept, lambda kept: kept
        ):
            head.per_class(drawn(30, 12, 5, 5, seed=1), drawn(3, 12, seed=2).requires_grad_())
        return sizes

    assert 30 * 12 * 20 in kept_sizes()
    monkeypatch.setattr(region_head, "KEPT_BYTES", 4 * 29 * 12 * 20)
    assert 30 * 12 * 20 not in kept_sizes()


def test_unit_vectors_change_nothing(head: RegionHead) -> None:
    regions = drawn(4, 12, 5, 5, seed=1)
    assert torch.allclose(head.per_class(regions, torch.ones(2, 12))[:, 1], head(regions), atol=1e-6)


def test_paired_is_the_diagonal_of_per_class(head: RegionHead) -> None:
    regions, vectors = drawn(4, 12, 5, 5, seed=1), drawn(4, 12, seed=2)
    expected = plain_per_class(head, regions, vectors)[range(4), range(4)]
    assert torch.allclose(head.paired(regions, vectors), expected, atol=1e-6)


def test_permuted_classes_are_permuted(head: RegionHead) -> None:
    regions, vectors, order = drawn(4, 12, 5, 5, seed=1), drawn(3, 12, seed=2), [2, 0, 1]
    one, other = head.per_class(regions, vectors), head.per_class(regions, vectors[order])
    assert torch.allclose(one[:, order], other, atol=1e-6)


def test_no_region_and_bf16(head: RegionHead) -> None:
    assert head.per_class(torch.zeros(0, 12, 5, 5), torch.ones(3, 12)).shape == (0, 3, 20)
    regions, vectors = drawn(4, 12, 5, 5, seed=1), 1 + 0.3 * drawn(3, 12, seed=2)
    exact = plain_per_class(head, regions, vectors)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = head.per_class(regions, vectors)
    assert torch.allclose(coarse.float(), exact, atol=0.03)
