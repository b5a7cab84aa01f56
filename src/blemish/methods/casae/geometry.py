"""How far CASAE's networks see, worked out from their layers, so that tiling needs no torch to know the halo.

Source: Tao et al. 2018, Fig. 3 and Table 1.
"""

from __future__ import annotations

from blemish.images.tiling import Tiling

DEPTH = 4  # poolings of an autoencoder
MULTIPLE = 2**DEPTH  # its poolings lie on a grid of so many pixels
PLAIN_FACTORS = ((1, 1),) * (DEPTH + 1)
ATROUS_FACTORS = ((1, 1), (2, 1), (2, 1), (4, 1), (4, 1))  # Table 1: convolutions 3, 5, 7 and 9 are atrous
KEPT = 640  # pixels that a tile of the default side keeps


def factors(atrous: bool) -> tuple[tuple[int, int], ...]:
    """Atrous factors of the encoder's convolutions, two for each block."""
    return ATROUS_FACTORS if atrous else PLAIN_FACTORS


def reach(*, atrous: bool, cascade: bool) -> int:
    """Pixels to each side within which everything lies that can change one probability.

    A 3×3 convolution of factor d reaches d pixels of its level, d · 2^level pixels of the image. Poolings and
    2×2 upsamplings spread a value over the block of 16 pixels that it lies in, so up to 15 pixels more. One
    autoencoder reaches exactly so far, two a little less than twice.
    """
    encoder = sum(sum(pair) * 2**level for level, pair in enumerate(factors(atrous)))
    decoder = sum(2 * 2**level for level in range(DEPTH))
    return (encoder + decoder + MULTIPLE - 1) * (2 if cascade else 1)


def tiling_for(*, atrous: bool, cascade: bool, tile: int | None) -> Tiling:
    """Tiles of the side given, or of one that keeps 640 pixels, with a halo that shows no seam.

    Tiles keep to the poolings' grid on images whose sides are multiples of 16; continue others to that first.
    Raises BlemishError for a side that does not fit.
    """
    halo = -(-reach(atrous=atrous, cascade=cascade) // MULTIPLE) * MULTIPLE
    return Tiling(tile=tile or KEPT + 2 * halo, halo=halo, stride=1)
