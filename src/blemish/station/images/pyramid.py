"""Making a pyramid of tiles, and pictures of parts of an image; see `tiles` for what a pyramid is.

Shape letters: H, W. Colour is RGB.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.files import atomic_file
from blemish.station.images.tiles import TILE, level_count, tile_places

QUALITY = 92


@dataclass(frozen=True)
class Window:
    """Range of 16-bit values that is shown, from black to white."""

    low: int
    high: int


def levels_of(image: Pixels) -> list[Pixels]:
    """Levels of an image, the smallest first; each is half the next, sides rounded up."""
    levels = [image]
    for _ in range(level_count(*image.shape[:2]) - 1):
        height, width = levels[-1].shape[:2]
        half = ((width + 1) // 2, (height + 1) // 2)
        levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA))
    return levels[::-1]


def tile_of(level: Pixels, x: int, y: int) -> Pixels | None:
    """Tile of a level; None where the level has none there."""
    tile = level[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE]
    return tile if tile.size else None


def default_window(image: Pixels) -> Window:
    """Window in which a 16-bit image shows all but its darkest and brightest half per cent."""
    step = max(1, int(np.sqrt(image.size / 1_000_000)))
    low, high = np.percentile(image[::step, ::step], (0.5, 99.5))
    return Window(int(low), max(int(high), int(low) + 1))


def shown(pixels: Pixels, window: Window | None) -> NDArray[np.uint8]:
    """Pixels as 8 bits. window: of 16-bit pixels; None takes the highest byte"""
    if pixels.dtype == np.uint8:
        return pixels  # type: ignore[return-value]  # the type was asked
    low, high = (0, 65535) if window is None else (window.low, window.high)
    spread = (pixels.astype(np.float32) - low) * (255.0 / max(1, high - low))
    return np.clip(np.rint(spread), 0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """JPEG of gray or RGB pixels."""
    return encoded(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def png(pixels: Pixels) -> bytes:
    """PNG of gray or RGB pixels of 8 or 16 bits, exactly as they are."""
    return encoded(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def encoded(suffix: str, pixels: Pixels, options: list[int]) -> bytes:
    bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(suffix, bgr, options)
    assert done, "OpenCV encodes gray and RGB of 8 and 16 bits"
    return data.tobytes()


def write_pyramid(image: Pixels, file: Path) -> None:
    """Write the tiles of an image into a ZIP, which is there whole or not at all."""
    window = default_window(image) if image.dtype == np.uint16 else None
    with atomic_file(file) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for number, level in enumerate(levels_of(image)):
            for x, y in tile_places(*level.shape[:2]):
                tile = tile_of(level, x, y)
                assert tile is not None, "places are those of tiles"
                archive.writestr(f"{number}/{x}_{y}.jpg", jpeg(shown(tile, window)))
