"""The images that both sides of a certificate are asked about, as files.

A dataset's own come first: no test images, validation images before the rest, defective ones before others.
Synthetic surfaces fill up, the same for a seed: gray and colour, 8 and 16 bits, PNG and TIFF, small, odd, and
larger than a tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels, Size
from blemish.bundle.store import sha256_of
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.synthetic import DEFECTS, SURFACES, DefectRequest, render
from blemish.dataset.synthetic.render import SMALLEST_SIDE
from blemish.files import write_atomically
from blemish.images.decode import image_size

IMAGES = 32
LEAST_SYNTHETIC = 12  # each kind of file with a size of its own, beside strips larger than a tile
SMALL = ((96, 96), (97, 131), (33, 95), (128, 71), (64, 64), (160, 101), (7, 53), (121, 200))
BEYOND = 41  # pixels by which a strip is longer than a tile
STRIP = 72
CLEAN_EVERY = 4  # so many synthetic pictures, one without a defect
CONTRAST = (40.0, 100.0)
TINT = (1.0, 0.9, 0.78)
KINDS = tuple(product((".png", ".tiff"), (1, 3), (8, 16)))


@dataclass(frozen=True)
class ComparisonImage:
    """One image. name: in the certificate; origin: "val", another split, or "synthetic" """

    name: str
    file: Path
    origin: str
    sha256: str
    size: Size


def comparison_images(
    folder: Path, dataset: Dataset | None, *, tile: int | None, fixed: bool, seed: int
) -> list[ComparisonImage]:
    """At least 32 images, the synthetic ones written to `folder`.

    tile: side from which images are cut; None: they are not; fixed: smaller ones are left out
    """
    least = tile or 0 if fixed else 0
    large = (one for one in own_pictures(dataset) if min(one.size) >= least) if dataset else iter(())
    own = list(islice(large, IMAGES - LEAST_SYNTHETIC))
    made = [
        synthetic(folder, number, size, seed)
        for number, size in enumerate(sizes(IMAGES - len(own), tile, least))
    ]
    return own + made


def own_pictures(dataset: Dataset) -> Iterator[ComparisonImage]:
    """The dataset's images that are not for testing, in the order that the file's header says."""
    unsealed = [sample for sample in dataset if sample.split != "test"]
    for sample in sorted(unsealed, key=lambda one: (one.split != "val", not one.is_defective)):
        yield own_picture(sample)


def own_picture(sample: Sample) -> ComparisonImage:
    origin = sample.split or "dataset"
    return ComparisonImage(sample.id, sample.image, origin, sha256_of(sample.image), image_size(sample.image))


def sizes(count: int, tile: int | None, least: int) -> list[Size]:
    """(height, width) of so many pictures, of which two are strips larger than a tile."""
    narrow = max(STRIP, least)
    strips = [(narrow, tile + BEYOND), (tile + BEYOND + 2, narrow)] if tile else []
    small = [(max(height, least), max(width, least)) for height, width in SMALL]
    return [*strips, *(small[number % len(small)] for number in range(count - len(strips)))]


def synthetic(folder: Path, number: int, size: Size, seed: int) -> ComparisonImage:
    """Write the synthetic picture of that number: its surface, kind of file and defects go round."""
    generator = np.random.default_rng((seed, number))
    suffix, channels, bits = KINDS[number % len(KINDS)]
    surface = list(SURFACES)[(number + number // len(SURFACES)) % len(SURFACES)]
    gray = drawn(surface, size, generator, defects=bool(number % CLEAN_EVERY))
    pixels = in_bits(tinted(gray) if channels == 3 else gray, bits, generator)
    file = folder / f"{number:02d}-{surface}-{'gray' if channels == 1 else 'colour'}{bits}{suffix}"
    _, encoded = cv2.imencode(suffix, pixels if channels == 1 else pixels[..., ::-1])
    write_atomically(file, encoded.tobytes())
    return ComparisonImage(f"synthetic/{file.name}", file, "synthetic", sha256_of(file), size)


def drawn(surface: str, size: Size, generator: np.random.Generator, *, defects: bool) -> NDArray[np.uint8]:
    """A surface of that size, cut from a larger one where none so small is drawn. [H, W]"""
    height, width = (max(side, SMALLEST_SIDE) for side in size)
    kinds = [str(kind) for kind in generator.choice(list(DEFECTS), 2)] if defects else []
    requests = [DefectRequest(kind, float(generator.uniform(*CONTRAST))) for kind in kinds]
    image = render(surface, size=(height, width), defects=requests, generator=generator).image
    return image[: size[0], : size[1]]


def tinted(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of a warm light. [H, W] to [H, W, 3]"""
    return (gray[..., None] * np.array(TINT, np.float32)).round().astype(np.uint8)


def in_bits(pixels: NDArray[np.uint8], bits: int, generator: np.random.Generator) -> Pixels:
    """As they are, or spread over 16 bits with lower bits that 8 bits do not have."""
    if bits == 8:
        return pixels
    lower = generator.integers(-128, 129, pixels.shape)
    return np.clip(pixels.astype(np.int32) * 257 + lower, 0, 65535).astype(np.uint16)
