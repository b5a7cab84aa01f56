"""Mask files: their values as stored, and the facts by which a reading of them is chosen.

A mask may be gray of 8 or 16 bits, hold palette indices, show its classes in colours, or be marked in its
alpha channel. Nothing is scaled: a 16-bit mask with instance numbers has the numbers as its values.
Shape letters: H, W. Colour is RGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from blemish.arrays import Colour, Size
from blemish.dataset.colours import FLAT_RANGE, exact_colours, mask_colours, plateau, solid_values, tally
from blemish.dataset.matlab import matlab_segments
from blemish.errors import BlemishError
from blemish.images.decode import read_image, to_bytes
from blemish.images.opening import open_unlimited
from blemish.untrusted import regular_file

LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp"})
WITH_LAYERS = frozenset({".png", ".apng", ".tif", ".tiff", ".bmp", ".dib", ".webp"})  # palette or alpha
MAX_EXACT = 64  # values, or colours, that a drawn mask may have; noise and soft edges have more
FEW_VALUES = 8  # no photograph has as few
MAX_NUMBER = 4096  # class and instance numbers are below

Kind = Literal["gray", "palette", "colour"]


@dataclass(frozen=True)
class StoredMask:
    """Values of a mask file.

    values: [H, W] gray uint8 or uint16, segment numbers of a .mat file, palette indices, or [H, W, 3] RGB
    palette: colour of each index, where the values are indices
    from_alpha: the values are those of the alpha channel, as nothing else is drawn
    transparent: pixels with a colour that were made background, because they are transparent
    """

    values: NDArray[Any]
    palette: tuple[Colour, ...] | None = None
    from_alpha: bool = False
    transparent: int = 0

    @property
    def kind(self) -> Kind:
        return "palette" if self.palette is not None else "gray" if self.values.ndim == 2 else "colour"


@dataclass(frozen=True)
class MaskFacts:
    """Facts on a mask file that its reading rests on.

    bits: 8 or 16; lossy: the format changes values
    values: the values other than 0, of gray masks and palette indices, ascending
    levels: those of `values` that fill a neighbourhood of 3×3 pixels, or are the most frequent of a region
        that is too thin for that; soft edges and noise do neither
    colours: class colours and their number of pixels, of colour and palette masks
    shares: share of the pixels that have a value above v, for v from 0 to 255 (in 255ths of the range)
    photograph: the values are a photograph's rather than a mask's
    border: share of the pixels along the image's border that are marked
    """

    path: Path
    size: Size
    kind: Kind
    bits: int = 8
    lossy: bool = False
    values: tuple[int, ...] = ()
    levels: tuple[int, ...] = ()
    colours: Mapping[Colour, int] = field(default_factory=dict)
    palette: tuple[Colour, ...] = ()
    shares: tuple[float, ...] = ()
    from_alpha: bool = False
    transparent: int = 0
    photograph: bool = False
    border: float = 0.0

    @property
    def full(self) -> int:
        """Largest value that the file's type holds."""
        return 255 if self.bits == 8 else 65535

    @property
    def top(self) -> int:
        return self.values[-1] if self.values else 0

    @property
    def is_empty(self) -> bool:
        return not (self.colours if self.kind == "colour" else self.values)

    @cached_property
    def is_exact(self) -> bool:
        """True where every value means something: no noise, no soft edges."""
        if self.lossy:
            return False
        if self.levels == self.values or self.kind == "palette":
            return True
        small = [value for value in self.values if value != self.full]
        numbers = bool(small) and small[-1] <= (MAX_EXACT if self.bits == 8 else MAX_NUMBER)
        return numbers and any(value != self.full for value in self.levels)

    def above(self, limit: float) -> int:
        """Largest value of the file's own range that is not above `limit` of 255."""
        return int(limit * (self.full // 255))

    def share_above(self, limit: int) -> float:
        """Share of the pixels above `limit` of 255."""
        return self.shares[limit] if self.shares else 0.0


def read_stored(path: Path) -> StoredMask:
    """Values of a mask file. Raises BlemishError that names it where it is no whole image."""
    regular_file(path)
    if path.suffix.lower() == ".mat":
        return StoredMask(matlab_segments(path))
    pixels = read_image(path)
    pixels = to_bytes(pixels) if pixels.ndim == 3 else pixels
    indices, palette, alpha = layers(path)
    fits = indices is not None and indices.shape == pixels.shape[:2] and bool(palette)
    if indices is not None and fits and is_class_palette(indices, palette):
        return StoredMask(indices, palette)
    gray = one_channel(pixels)
    if alpha is None or alpha.shape != gray.shape[:2] or alpha.min() == alpha.max():
        return StoredMask(gray)
    return without_transparent(gray, alpha, path)


def layers(path: Path) -> tuple[NDArray[np.uint8] | None, tuple[Colour, ...], NDArray[np.uint8] | None]:
    """Palette indices [H, W] with their palette, and the alpha channel [H, W]; None where there is none.

    The file has been found whole by `read_image`, which gives colours alone.
    """
    if path.suffix.lower() not in WITH_LAYERS:
        return None, (), None
    try:
        with path.open("rb") as stream, open_unlimited(stream) as image:
            if image.mode not in ("P", "PA", "LA", "La", "RGBA", "RGBa"):
                return None, (), None
            turned = ImageOps.exif_transpose(image)
            if turned.mode in ("P", "PA"):
                return np.asarray(turned.getchannel(0)), palette_of(turned), None
            return None, (), np.asarray(turned.convert("RGBA").getchannel("A"))
    except (OSError, ValueError, SyntaxError) as error:
        raise BlemishError(
            f"{path} must be a whole image. Received: {' '.join(str(error).split())}. Replace or remove it."
        ) from error


def palette_of(image: Image.Image) -> tuple[Colour, ...]:
    values = image.getpalette("RGB") or []
    return tuple((values[i], values[i + 1], values[i + 2]) for i in range(0, len(values) - 2, 3))


def is_class_palette(indices: NDArray[np.uint8], palette: tuple[Colour, ...]) -> bool:
    """True where palette indices are what was meant: index 0 is black, and no index is an edge's colour.

    Gray palettes and those of pictures that were reduced to 256 colours are read by their colours.
    """
    used = [int(index) for index in np.flatnonzero(np.bincount(indices.ravel(), minlength=256))]
    known = [index for index in used if index]
    if palette[0] != (0, 0, 0) or (used and used[-1] >= len(palette)):
        return bool(used) and used[-1] >= len(palette)
    colours = [palette[index] for index in known]
    shades = all(max(colour) == min(colour) for colour in colours)
    if shades and (0, 0, 0) not in colours and len(set(colours)) == len(colours):
        return False
    return set(known) <= {*solid_values(indices), 255} or palette[:64] == voc_palette()[: len(palette)][:64]


def voc_palette() -> tuple[Colour, ...]:
    """Colours of Pascal VOC's class numbers 0 … 255: three bits of the number for each bit of a channel."""
    return tuple(
        (spread_bits(number), spread_bits(number >> 1), spread_bits(number >> 2)) for number in range(256)
    )


def spread_bits(number: int) -> int:
    return sum(((number >> (3 * bit)) & 1) << (7 - bit) for bit in range(8))


def one_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels as [H, W] where all three channels are equal, else as they are."""
    if pixels.ndim == 2:
        return pixels
    red, green, blue = cv2.split(pixels)
    same = np.array_equal(red, green) and np.array_equal(green, blue)
    return red if same else pixels


def without_transparent(pixels: NDArray[Any], alpha: NDArray[np.uint8], path: Path) -> StoredMask:
    """The mask of an image with an alpha channel that varies.

    Of one colour all over, it is marked in the alpha channel; else what is transparent is background.
    Raises BlemishError where all that is opaque is black, as then either may be meant.
    """
    flat = pixels.reshape(-1, 1 if pixels.ndim == 2 else 3)
    scale = 257 if pixels.dtype == np.uint16 else 1
    if int((flat.max(axis=0).astype(int) - flat.min(axis=0)).max()) <= FLAT_RANGE * scale:
        return StoredMask(alpha, from_alpha=True)
    hidden = alpha <= alpha.max() // 2
    marked = pixels if pixels.ndim == 2 else pixels.max(axis=-1)
    shown = np.where(hidden if pixels.ndim == 2 else hidden[..., None], 0, pixels).astype(pixels.dtype)
    if not shown.any():
        raise BlemishError(
            f"{path} must be marked in its colours or in its alpha channel. Received: an alpha channel that "
            "hides all that is not black. Save it without transparency, white on black."
        )
    return StoredMask(one_channel(shown), transparent=int((hidden & (marked > FLAT_RANGE * scale)).sum()))


def mask_facts(path: Path, *, exact_colours: bool = False) -> MaskFacts:
    """Facts on a mask file, which is decoded once. Raises BlemishError that names a broken file.

    exact_colours: every colour of a pixel counts, none is an edge's
    """
    return facts_of(read_stored(path), path, every_colour=exact_colours)


def facts_of(stored: StoredMask, path: Path, *, every_colour: bool = False) -> MaskFacts:
    """Facts on the values of a mask file."""
    values, lossy = stored.values, path.suffix.lower() in LOSSY
    plain = MaskFacts(
        path,
        (int(values.shape[0]), int(values.shape[1])),
        stored.kind,
        16 if values.dtype == np.uint16 else 8,
        lossy,
        from_alpha=stored.from_alpha,
        transparent=stored.transparent,
    )
    if stored.kind == "colour":
        brightest = values.max(axis=-1)
        drawn = None if lossy else exact_colours(values, MAX_EXACT)
        colours = tally(values) if every_colour else mask_colours(values) if drawn is None else drawn
        odd = drawn is None and not every_colour and is_photograph(values, brightest)
        shares, border = shares_above(brightest), border_share(brightest)
        return replace(plain, colours=colours, shares=shares, photograph=odd, border=border)
    counts = np.bincount(values.ravel())
    found = tuple(int(value) for value in np.flatnonzero(counts) if value)
    palette = stored.palette or ()
    return replace(
        plain,
        values=found,
        levels=found if len(found) < 2 else solid_values(values),
        colours={palette[v]: int(counts[v]) for v in found if v < len(palette)},
        palette=palette,
        shares=shares_above(in_255ths(values) if not palette else np.where(values > 0, 255, 0)),
        photograph=not palette and len(found) > FEW_VALUES and is_photograph(values, values),
        border=border_share(values),
    )


def in_255ths(values: NDArray[Any]) -> NDArray[Any]:
    """Values in 255ths of their type's range, rounded up, so that none but 0 becomes 0."""
    if values.dtype != np.uint16:
        return np.minimum(values, 255)
    return (values.astype(np.int32) + 256) // 257


def border_share(values: NDArray[Any]) -> float:
    """Share of the pixels along the border of [H, W] that are marked: above half of the largest value."""
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    return float((edge > values.max(initial=0) // 2).mean()) if edge.size else 0.0


def is_photograph(values: NDArray[Any], brightest: NDArray[Any]) -> bool:
    """True where much of a picture is not black and little of that is even, as no mask is.

    values: [H, W] or [H, W, 3]; brightest: [H, W], of the channels
    """
    top = float(brightest.max(initial=0))
    near = top * FLAT_RANGE / 255
    shown = brightest > near
    even = plateau(values) | (brightest >= top - near)  # noise of JPEG is near white
    number = int(shown.sum())
    return number > 0.3 * shown.size and int((even & shown).sum()) < 0.5 * number


def shares_above(values: NDArray[Any]) -> tuple[float, ...]:
    counts = np.bincount(values.ravel(), minlength=256)
    return tuple((1 - np.cumsum(counts) / max(values.size, 1)).tolist())
