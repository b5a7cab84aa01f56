"""Reach of the severity network, computed from its layers, so that tiles get their halo without torch; and
the coarser copy of an image that widens it.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.images.tiling import Tiling
from blemish.methods.common.tiles import seamless_tiling

POOL_STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2)}  # cell size r → strides of the two poolings
UNET_DEPTH = 4  # poolings of the baseline U-Net
UNET_MULTIPLE = 2**UNET_DEPTH  # its poolings lie on a grid of so many pixels
TILE_CELLS = 320  # side of the default tile; its widest activation, 512 × 320² × 4 bytes, is 0.2 GB


def receptive_radius(cell: int) -> int:
    """Pixels to each side that can change one severity: each layer adds half its kernel at its own stride.

    Source: Tables 1-3. 1×1 convolutions add nothing; each stage has four 5×5.
    """
    first, second = POOL_STRIDES[cell]
    both = first * second
    before_pool1 = 5 // 2 + 3 // 2
    at_first = (4 * (5 // 2) + 3 // 2 + 3 // 2) * first  # stage 1, conv2, pool2
    at_second = (4 * (5 // 2) + 3 // 2) * both  # stage 2, conv3
    return before_pool1 + at_first + at_second


def unet_receptive_radius() -> int:
    """Pixels to each side that can change one severity of the U-Net.

    It has two 3×3 convolutions on each way through a level, and two at the bottom. Each reaches one pixel of
    its level, 2^level pixels of the image. Poolings and 2×2 upsamplings spread a value over the block of 16
    pixels that it lies in, so up to 15 pixels more.
    """
    levels = sum(2 * 2**level for level in range(UNET_DEPTH))
    return 2 * levels + 2 * UNET_MULTIPLE + UNET_MULTIPLE - 1


def default_tiling(cell: int, tile: int | None = None, *, network: str = "paper") -> Tiling:
    """Tiles of 320 cells, or of the side given, with the smallest halo that shows no seam.

    For the U-Net, tile and halo are multiples of 16 as well, so that tiles keep to the grid of its poolings.
    The last tile ends with the image: where that puts it off the grid, its values differ a little from those
    of the whole image, as a U-Net's do under any shift.
    Raises BlemishError for a side that does not fit.
    """
    radius, multiple = (
        (receptive_radius(cell), cell) if network == "paper" else (unet_receptive_radius(), UNET_MULTIPLE)
    )
    return seamless_tiling(
        tile or TILE_CELLS * cell,
        reach=radius + cell - 1,  # a cell's own pixels lie up to cell − 1 from its first
        multiple=multiple,
        stride=cell,
        given=f"network={network} and cell={cell}",
    )


def with_context(tiles: Tiling, factor: int, *, grid: int) -> Tiling:
    """Tiles of a web whose map needs as much of its surroundings as a network at 1 / factor of its size.

    Their halo is `factor` times as wide, and a little more for the interpolation between coarse cells; what
    is kept of them is twice as long, so that less is computed twice.
    tiles: of each network; grid: number of pixels that sides of its images are multiples of
    """
    if factor == 1:
        return tiles
    halo = factor * (tiles.halo + grid)
    kept = -(-2 * (tiles.tile - 2 * tiles.halo) // (factor * grid)) * factor * grid
    return Tiling(tile=kept + 2 * halo, halo=halo, stride=tiles.stride, batch=tiles.batch)


def coarser(pixels: Pixels, factor: int) -> NDArray[np.uint16]:
    """Image at 1 / factor of its size, each pixel the mean of factor² ones, in the full range of 16 bits.

    pixels: [H, W] or [H, W, C] uint8 or uint16, H and W multiples of the factor
    """
    rows = reduce(np.add, (pixels[first::factor].astype(np.uint32) for first in range(factor)))
    sums = reduce(np.add, (rows[:, first::factor] for first in range(factor)))
    scale = (257 if pixels.dtype == np.uint8 else 1) / factor**2
    return np.rint(sums * scale).astype(np.uint16)
