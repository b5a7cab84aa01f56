"""Image files that a certificate compares both bundles on.

Images of a dataset come first: no test images, validation images before others, defective ones before clean
    ones.
Synthetic surfaces make up the number, equal for equal seeds: gray and colour, 8 and 16 bits, PNG and TIFF,
small, of odd sizes, and larger than a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels, Size
from blemish.bundle.store import sha256_of
from blemish.dataset.samples import Dataset
from blemish.dataset.synthetic import DEFECTS, SURFACES, DefectRequest, render
from blemish.dataset.synthetic.render import SMALLEST_SIDE
from blemish.files import write_atomically
from blemish.images.decode import image_size

IMAGES = 32
MIN_SYNTHETIC = 12  # each kind of file in a size of its own, and strips larger than a tile
SMALL = ((96, 96), (97, 131), (33, 95), (128, 71), (64, 64), (160, 101), (7, 53), (121, 200))
BEYOND = 41  # pixels by which a strip is longer than a tile
STRIP = 72
CLEAN_EVERY = 4  # of so many synthetic images one has no defect
CONTRAST = (40.0, 100.0)
TINT = (1.0, 0.9, 0.78)  # RGB of a warm light
KINDS = tuple(product((".png", ".tiff"), (1, 3), (8, 16)))


@dataclass(frozen=True)
class ComparisonImage:
    """An image file to compare on. name: in the certificate; origin: "val", another split, or "synthetic" """

    name: str
    file: Path
    origin: str
    sha256: str
    size: Size


def comparison_images(
    folder: Path, dataset: Dataset | None, *, tile: int | None, fixed: bool, seed: int
) -> list[ComparisonImage]:
    """At least 32 images, the synthetic ones written to `folder`.

    tile: side from which on images are cut; None: they are not; fixed: smaller images are left out
    """
    min_side = tile or 0 if fixed else 0
    unsealed = [sample for sample in dataset or () if sample.split != "test"]
    unsealed.sort(key=lambda sample: (sample.split != "val", not sample.is_defective))
    large = (sample for sample in unsealed if min(image_size(sample.image)) >= min_side)
    own = [
        ComparisonImage(
            sample.id,
            sample.image,
            sample.split or "dataset",
            sha256_of(sample.image),
            image_size(sample.image),
        )
        for sample in islice(large, IMAGES - MIN_SYNTHETIC)
    ]
    made = [
        synthetic(folder, number, size, seed)
        for number, size in enumerate(sizes(IMAGES - len(own), tile, min_side))
    ]
    return own + made


def sizes(count: int, tile: int | None, min_side: int) -> list[Size]:
    """(height, width) of `count` images, of which two are strips larger than a tile."""
    narrow = max(STRIP, min_side)
    strips = [(narrow, tile + BEYOND), (tile + BEYOND + 2, narrow)] if tile else []
    small = [(max(height, min_side), max(width, min_side)) for height, width in SMALL]
    return [*strips, *(small[number % len(small)] for number in range(count - len(strips)))]


def synthetic(folder: Path, number: int, size: Size, seed: int) -> ComparisonImage:
    """Write the synthetic image of that number: surfaces, kinds of file and defects take turns."""
    generator = np.random.default_rng((seed, number))
    suffix, channels, bits = KINDS[number % len(KINDS)]
    surface = list(SURFACES)[(number + number // len(SURFACES)) % len(SURFACES)]
    pixels: Pixels = drawn(surface, size, generator, defects=bool(number % CLEAN_EVERY))
    if channels == 3:
        pixels = (pixels[..., None] * np.array(TINT, np.float32)).round().astype(np.uint8)
    if bits == 16:  # spread over 16 bits, with lower bits that no 8-bit image has
        lower = generator.integers(-128, 129, pixels.shape)
        pixels = np.clip(pixels.astype(np.int32) * 257 + lower, 0, 65535).astype(np.uint16)
    file = folder / f"{number:02d}-{surface}-{'gray' if channels == 1 else 'colour'}{bits}{suffix}"
    _, encoded = cv2.imencode(suffix, pixels if channels == 1 else pixels[..., ::-1])
    write_atomically(file, encoded.tobytes())
    return ComparisonImage(f"synthetic/{file.name}", file, "synthetic", sha256_of(file), size)


def drawn(surface: str, size: Size, generator: np.random.Generator, *, defects: bool) -> NDArray[np.uint8]:
    """Surface [H, W] of a size, cut from a larger one where none so small can be drawn."""
    height, width = (max(side, SMALLEST_SIDE) for side in size)
    kinds = [str(kind) for kind in generator.choice(list(DEFECTS), 2)] if defects else []
    requests = [DefectRequest(kind, float(generator.uniform(*CONTRAST))) for kind in kinds]
    image = render(surface, size=(height, width), defects=requests, generator=generator).image
    return image[: size[0], : size[1]]
