"""Whose statistics a norm takes, against torch's own batch norm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from blemish.nn.norms import GroupNorm, SupportBatchNorm, new_norm, num_groups


def features(count: int = 6, *, channels: int = 8) -> Tensor:
    drawn = torch.randn(count, channels, 5, 4, generator=torch.Generator().manual_seed(0)).double()
    return 2 * drawn + torch.arange(channels).view(-1, 1, 1)


def pair(**changes: float) -> tuple[SupportBatchNorm, nn.BatchNorm2d]:
    own, torchs = SupportBatchNorm(8, **changes).double(), nn.BatchNorm2d(8).double()
    torch.manual_seed(1)
    for ours, theirs in zip((own.weight, own.bias), (torchs.weight, torchs.bias), strict=True):
        nn.init.normal_(ours)
        theirs.data.copy_(ours.data)
    return own, torchs


def test_given_the_whole_batch_it_is_torchs_batch_norm_and_stores_the_same() -> None:
    own, torchs = pair()
    for shift in (0.0, 3.0):
        torch.testing.assert_close(own(features() + shift, 6), torchs(features() + shift))
    torch.testing.assert_close(own.running_mean, torchs.running_mean)
    torch.testing.assert_close(own.running_var, torchs.running_var)
    torch.testing.assert_close(own.eval()(features()), torchs.eval()(features()))


def test_the_gradient_passes_through_the_statistics_as_torchs_does() -> None:
    own, torchs = pair()
    gradients = []
    for norm in (lambda maps: own(maps, 6), torchs):
        maps = features().requires_grad_()
        (norm(maps) ** 3).sum().backward()
        gradients.append(maps.grad)
    torch.testing.assert_close(*gradients)


def test_images_behind_the_given_ones_bear_on_nothing_but_themselves() -> None:
    own, _ = pair()
    maps = features()
    before, stored = own(maps, 4), own.running_mean.clone()
    own.running_mean.zero_()
    own.running_var.fill_(1)
    maps[5] += 100
    after = own(maps, 4)
    assert torch.equal(after[:5], before[:5])
    assert torch.equal(own.running_mean, stored)
    assert not torch.equal(after[5], before[5])


def test_without_given_images_or_in_evaluation_nothing_is_stored() -> None:
    own, _ = pair()
    own(features())
    own.eval()(features(), 6)
    assert not own.running_mean.any()
    assert (own.running_var == 1).all()


def test_a_single_image_has_statistics_too() -> None:
    own, torchs = pair()
    one = features(1)
    torch.testing.assert_close(own(one, 1), torchs(one))
    tall = torch.randn(1, 8, 1, 1).double()
    assert torch.isfinite(own(tall, 1)).all()
    assert torch.isfinite(own.running_var).all()


def test_half_precision_goes_in_and_comes_out() -> None:
    own = SupportBatchNorm(8)
    maps = features().to(torch.bfloat16)
    found = own(maps, 6)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), SupportBatchNorm(8)(maps.float(), 6), atol=0.02, rtol=0.01)


def test_group_norm_sees_each_image_alone_whatever_is_given() -> None:
    norm = new_norm("group", 8).double()
    assert isinstance(norm, GroupNorm)
    maps = features()
    torch.testing.assert_close(norm(maps, 2)[3:4], norm(maps[3:4]))
    torch.testing.assert_close(norm(maps), nn.GroupNorm(2, 8).double()(maps))


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (3, 1), (8, 2), (12, 3), (32, 8), (64, 8), (30, 6), (37, 1)]
)
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert num_groups(channels) == groups
    nn.GroupNorm(groups, channels)
