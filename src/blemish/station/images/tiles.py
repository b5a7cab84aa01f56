"""A pyramid of tiles: an image at halved sizes, cut into squares of 512 pixels, in one ZIP.

Level 0 is the smallest, one tile; the last is the image itself. A tile's name is LEVEL/X_Y.jpg, X and Y
counted in tiles from the top left. The ZIP stores, as JPEG does not shrink.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

TILE = 512


def level_count(height: int, width: int) -> int:
    """Number of levels of an image of that size."""
    count, longest = 1, max(height, width)
    while longest > TILE:
        longest, count = (longest + 1) // 2, count + 1
    return count


def tile_places(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Places of the tiles of a level, row by row."""
    for y in range(-(-height // TILE)):
        for x in range(-(-width // TILE)):
            yield x, y


def stored_tile(file: Path, level: int, x: int, y: int) -> bytes | None:
    """JPEG of a tile in a pyramid's ZIP; None where it has none there."""
    with zipfile.ZipFile(file) as archive:
        try:
            return archive.read(f"{level}/{x}_{y}.jpg")
        except KeyError:
            return None
