"""How far the severity network sees, worked out from its layers, so that tiling needs no torch to know the halo."""

from __future__ import annotations

from blemish.images.tiling import Tiling

POOL_STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2)}  # cell size r → strides of the two poolings
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


def default_tiling(cell: int, tile: int | None = None) -> Tiling:
    """Tiles of 320 cells, or of the side given, with the smallest halo that shows no seam."""
    reach = receptive_radius(cell) + cell - 1  # a cell's own pixels lie up to cell − 1 from its first
    halo = -(-reach // cell) * cell
    return Tiling(tile=tile or TILE_CELLS * cell, halo=halo, stride=cell)
