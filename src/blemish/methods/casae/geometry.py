"""Reach of CASAE's networks, computed from their layers, so that tiles get their halo without torch.

Source: Tao et al. 2018, Fig. 3 and Table 1; of the FCN, Long et al. 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from blemish.images.tiling import Tiling
from blemish.methods.common.tiles import seamless_tiling

NetworkKind = Literal["autoencoder", "fcn"]

DEPTH = 4  # poolings of an autoencoder
MULTIPLES: Mapping[NetworkKind, int] = {
    "autoencoder": 2**DEPTH,
    "fcn": 32,
}  # poolings lie on a grid of so many pixels
PLAIN_FACTORS = ((1, 1),) * (DEPTH + 1)
ATROUS_FACTORS = ((1, 1), (2, 1), (2, 1), (4, 1), (4, 1))  # Table 1: convolutions 3, 5, 7 and 9 are atrous
FCN_BLOCKS = (2, 2, 3, 3, 3)  # convolutions of an FCN's blocks, each of which a pooling follows
FCN_KERNEL = 7  # of the convolution behind them


def factors(atrous: bool) -> tuple[tuple[int, int], ...]:
    """Atrous factors of the encoder's convolutions, two for each block."""
    return ATROUS_FACTORS if atrous else PLAIN_FACTORS


def reach(*, atrous: bool, cascade: bool, network: NetworkKind = "autoencoder") -> int:
    """Pixels to each side within which everything lies that can change one probability.

    atrous, cascade: of autoencoders; an FCN has neither
    """
    if network == "fcn":
        return fcn_reach()
    return autoencoder_reach(atrous=atrous) * (2 if cascade else 1)


def autoencoder_reach(*, atrous: bool) -> int:
    """Pixels to each side that can change one probability of an autoencoder.

    A 3×3 convolution of factor d reaches d pixels of its level, d · 2^level pixels of the image. Poolings and
    2×2 upsamplings spread a value over the block of 16 pixels that it lies in, so up to 15 pixels more. One
    autoencoder reaches exactly so far, two a little less than twice.
    """
    encoder = sum(sum(pair) * 2**level for level, pair in enumerate(factors(atrous)))
    decoder = sum(2 * 2**level for level in range(DEPTH))
    return encoder + decoder + MULTIPLES["autoencoder"] - 1


def fcn_reach() -> int:
    """Pixels to each side that can change one probability of the FCN, exactly.

    Linear interpolation takes in the next place of each map. Of pixel 4 in a block of 32 that is the next
    block at all three sizes, which begins 28 pixels further; the poolings spread a value over all 32 of it.
    """
    convolutions = sum(number * 2**level for level, number in enumerate(FCN_BLOCKS))
    side = MULTIPLES["fcn"]
    return convolutions + FCN_KERNEL // 2 * side + (side - 4) + (side - 1)


def tiling_for(
    *, atrous: bool, cascade: bool, tile: int | None, network: NetworkKind = "autoencoder"
) -> Tiling:
    """Tiles of the paper's networks or the FCN, see `seamless_tiling`."""
    return seamless_tiling(
        tile,
        reach=reach(atrous=atrous, cascade=cascade, network=network),
        multiple=MULTIPLES[network],
        given=f"network={network}",
    )
