"""Tiles that show no seam, from what a network of convolutions and poolings reaches."""

from __future__ import annotations

from blemish.errors import BlemishError
from blemish.images.tiling import Tiling

KEPT = 640  # pixels along each axis that a tile of the default side keeps


def seamless_tiling(tile: int | None, *, reach: int, multiple: int, stride: int = 1, given: str) -> Tiling:
    """Tiles of the side given, or of one that keeps 640 pixels, with the smallest halo that shows no seam.

    Tiles keep to the poolings' grid on images whose sides are multiples of it; continue others to that first.
    reach: pixels to each side that can change one value; multiple: pixels of the poolings' grid
    stride: pixels of the image for one value; given: settings that the grid follows from, for the message
    Raises BlemishError for a side that does not fit.
    """
    halo = -(-reach // multiple) * multiple
    side = tile or KEPT + 2 * halo
    if side % multiple:
        remedy = -(-side // multiple) * multiple
        raise BlemishError(
            f"tile must be a multiple of {multiple} with {given}. Received: {side}. Use {remedy}."
        )
    return Tiling(tile=side, halo=halo, stride=stride)
