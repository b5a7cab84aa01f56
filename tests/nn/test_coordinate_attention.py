"""Coordinate attention against loops over positions, and what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from blemish.nn.coordinate_attention import CoordinateAttention

Array = NDArray[np.float64]


def made(norm: str, channels: int = 12, **changes: int) -> CoordinateAttention:
    torch.manual_seed(0)
    attention = CoordinateAttention(
        channels, norm=norm, **{"reduction": 4, "min_channels": 2, **changes}
    ).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    return attention.eval()


def features(height: int = 5, width: int = 3, channels: int = 12) -> torch.Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(1)).double()


def weights_of(conv: torch.nn.Conv2d) -> tuple[Array, Array]:
    return conv.weight.detach().numpy()[:, :, 0, 0], conv.bias.detach().numpy()


def normalised(attention: CoordinateAttention, codes: Array) -> Array:
    """codes: [m, H + W]"""
    norm = attention.norm
    weight, bias = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    if hasattr(norm, "running_mean"):  # at their initial values
        scaled = codes / np.sqrt(1 + norm.eps)
    else:
        groups = codes.reshape(norm.num_groups, -1)
        centred = groups - groups.mean(1, keepdims=True)
        scaled = (centred / np.sqrt(groups.var(1, keepdims=True) + norm.eps)).reshape(codes.shape)
    return scaled * weight[:, None] + bias[:, None]


def by_loops(attention: CoordinateAttention, image: Array) -> Array:
    """What the attention makes of one map [C, H, W], position by position."""
    channels, height, width = image.shape
    lines = [
        [sum(image[c, y, x] for x in range(width)) / width for c in range(channels)] for y in range(height)
    ]
    lines += [
        [sum(image[c, y, x] for y in range(height)) / height for c in range(channels)] for x in range(width)
    ]
    weight, bias = weights_of(attention.shared)
    codes = np.stack([weight @ np.array(line) + bias for line in lines], 1)
    codes = normalised(attention, codes)
    codes = codes * np.clip(codes + 3, 0, 6) / 6  # h-swish
    found = np.empty_like(image)
    for y in range(height):
        for x in range(width):
            row, column = (
                1 / (1 + np.exp(-(weights_of(conv)[0] @ codes[:, at] + weights_of(conv)[1])))
                for conv, at in ((attention.rows, y), (attention.columns, height + x))
            )
            found[:, y, x] = image[:, y, x] * row * column
    return found


@pytest.mark.parametrize("norm", ["group", "batch"])
@pytest.mark.parametrize("size", [(5, 3), (1, 4), (1, 1)])
def test_each_position_is_weighed_by_its_row_and_its_column(norm: str, size: tuple[int, int]) -> None:
    attention, maps = made(norm), features(*size)
    expected = np.stack([by_loops(attention, image) for image in maps.numpy()])
    np.testing.assert_allclose(attention(maps).detach().numpy(), expected, rtol=1e-10)


def test_rows_and_columns_change_places_with_the_image() -> None:
    attention, maps = made("group"), features()
    straight = attention(maps)
    attention.rows, attention.columns = attention.columns, attention.rows
    turned = attention(maps.transpose(2, 3))
    torch.testing.assert_close(turned.transpose(2, 3), straight)


def test_attention_only_weakens_and_leaves_zero_as_it_is() -> None:
    attention, maps = made("group"), features()
    maps[:, :, 2] = 0
    found = attention(maps)
    assert (found.abs() <= maps.abs()).all()
    assert (found * maps >= 0).all()
    assert not found[:, :, 2].any()


@pytest.mark.parametrize(("channels", "inner"), [(32, 8), (512, 16)])
def test_the_inner_channels_are_a_share_but_not_fewer_than_the_least(channels: int, inner: int) -> None:
    attention = made("group", channels, reduction=32, min_channels=8)
    assert attention.shared.out_channels == inner
