"""Rendering a synthetic image: a surface, defects of given contrast on it, and the exact truth about them.

The contrast of a defect is the mean over its mask of |image with all defects − image without any|, both
before sensor noise, in gray levels of 0..255. Absolute values make it sound for dents and scratches too,
whose bright and dark sides would cancel. It is measured on the finished image: clipping, texture and
overlap are in it. Shape letters: H, W of the image; h, w of a window of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Size
from blemish.dataset.synthetic.defects import DEFECTS, Shape
from blemish.dataset.synthetic.noise import Field, as_field, blurred
from blemish.dataset.synthetic.photograph import BRIGHTEST, DARKEST, draw_sensor, expose, sensor_noise
from blemish.dataset.synthetic.surfaces import SURFACES
from blemish.errors import BlemishError, nearest_name

Mask = NDArray[np.bool_]
PixelWindow = tuple[slice, slice]  # rows, columns

SMALLEST_SIDE, LARGEST_SIDE = 48, 16384
STRONGEST_CHANGE = 180.0  # gray levels at the peak of a profile
TEXTURE_SCALE = 8.0  # pixels; texture finer than this disappears where structure is missing


@dataclass(frozen=True)
class DefectRequest:
    """A defect to draw.

    contrast: mean absolute change in gray levels, if the surface has room for it
    scale: length and width relative to the kind's usual ones
    """

    kind: str
    contrast: float
    scale: float = 1.0


@dataclass(frozen=True)
class Rendered:
    """An image and its truth. All arrays are [H, W].

    image, clean: as a camera gives them, with the defects and without, under the same sensor noise
    scene, surface: these two before sensor noise and rounding, gray levels 0..255
    masks, labels, contrasts: of each defect, in the order of requests; contrasts as the file's header says
    """

    image: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    scene: NDArray[np.float32]
    surface: NDArray[np.float32]
    masks: tuple[Mask, ...]
    labels: tuple[str, ...]
    contrasts: tuple[float, ...]


def render(
    surface: str, *, size: Size, defects: Sequence[DefectRequest] = (), generator: np.random.Generator
) -> Rendered:
    """Draw `surface` with `defects` on it, each wholly inside the image and, given room, apart.

    size: (height, width), each 48 to 16384
    Raises BlemishError for an unknown surface or kind, or a size out of range
    """
    check_size(size)
    draw = SURFACES[known_name("surface", surface, SURFACES)]
    kinds = [DEFECTS[known_name("defect kind", request.kind, DEFECTS)] for request in defects]
    clean: NDArray[np.float32] = draw(size, generator).astype(np.float32, copy=False)
    grain = grain_angle(clean) if defects else 0.0
    drawn = [_laid(kind(reach(size), generator), grain) for kind in kinds]
    shapes = [fitted(shape, size, request.scale) for shape, request in zip(drawn, defects, strict=True)]
    scene, masks = _with_defects(clean, shapes, [request.contrast for request in defects], generator)
    sensor, noise = draw_sensor(generator), sensor_noise(size, generator)
    return Rendered(
        image=expose(scene, noise, sensor),
        clean=expose(clean, noise, sensor),
        scene=scene,
        surface=clean,
        masks=masks,
        labels=tuple(request.kind for request in defects),
        contrasts=tuple(float(np.abs(scene - clean)[mask].mean(dtype=np.float64)) for mask in masks),
    )


def known_name(what: str, name: str, known: Collection[str]) -> str:
    """`name`, if it is among `known`; BlemishError that lists them otherwise."""
    if name not in known:
        hint = nearest_name(name, known)
        raise BlemishError(f"Unknown {what}. Received: '{name}'.{hint} Known: {', '.join(known)}.")
    return name


def check_size(size: Size) -> None:
    """Raise BlemishError unless both sides can hold a defect and be handled by OpenCV."""
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in size):
        raise BlemishError(
            f"size (height, width) must be {SMALLEST_SIDE} to {LARGEST_SIDE} pixels each. "
            f"Received: {size[0]}x{size[1]}. Choose a size within it."
        )


def grain_angle(image: Field) -> float:
    """Direction of a texture's lines (yarns, brush marks, fibres) in radians: across its commonest gradient.

    image: [H, W]; only 256×256 pixels in its middle are used
    """
    top, left = (max(0, side // 2 - 128) for side in image.shape)
    middle = image[top : top + 256, left : left + 256]
    slope_x, slope_y = cv2.Sobel(middle, cv2.CV_32F, 1, 0), cv2.Sobel(middle, cv2.CV_32F, 0, 1)
    power, angle = cv2.cartToPolar(slope_x, slope_y)
    bins = 60
    index = (angle.ravel() * (bins / np.pi)).astype(np.int32) % bins
    histogram = np.bincount(index, weights=power.ravel() ** 2, minlength=bins)
    smooth = histogram + np.roll(histogram, 1) + np.roll(histogram, -1)
    return (int(np.argmax(smooth)) + 0.5) * math.pi / bins + math.pi / 2


def _laid(shape: Shape, grain: float) -> Shape:
    """The shape turned so that its x axis runs along the grain, if it is one that does."""
    if not shape.erases:
        return shape
    height, width = shape.profile.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -math.degrees(grain), 1.0)
    profile, extent = (
        cv2.warpAffine(field, turn, (width, height)) for field in (shape.profile, shape.extent)
    )
    return replace(shape, profile=as_field(profile), extent=as_field(extent))


def _with_defects(
    clean: NDArray[np.float32],
    shapes: Sequence[Shape],
    contrasts: Sequence[float],
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], tuple[Mask, ...]]:
    """Image with every shape somewhere on it, and the mask of each. returns: all [H, W]"""
    scene, taken = clean.copy(), np.zeros(clean.shape, bool)
    masks = []
    for shape, contrast in zip(shapes, contrasts, strict=True):
        window = _free_window(shape.mask, taken, generator)
        scene[window] = applied(scene[window], shape, contrast, generator)
        mask = np.zeros(clean.shape, bool)
        mask[window] = shape.mask
        taken |= mask
        masks.append(mask)
    return scene, tuple(masks)


def reach(size: Size) -> float:
    """Length of a long defect: most of a small image, and no more than on 512×512 for a large one."""
    return 0.5 * min(512.0, *size)


def fitted(shape: Shape, size: Size, scale: float) -> Shape:
    """The shape cut to where it changes anything, at `scale`, or smaller so that it fits the image."""
    touched = (np.abs(shape.profile) > 0.004) | (shape.extent > 0.004)
    rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    profile, extent = shape.profile[window], shape.extent[window]
    scale = min(scale, (size[0] - 4) / profile.shape[0], (size[1] - 4) / profile.shape[1])
    if scale != 1:
        profile = _scaled(profile, scale)
        extent = _scaled(extent, scale)
        extent = extent / extent.max()
    return replace(shape, profile=profile, extent=extent)


def _scaled(field: Field, scale: float) -> Field:
    """The field [h, w] at `scale` times its size, each side at least a pixel."""
    size = (max(1, int(field.shape[1] * scale)), max(1, int(field.shape[0] * scale)))
    return as_field(cv2.resize(field, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))


def _free_window(mask: Mask, taken: Mask, generator: np.random.Generator) -> PixelWindow:
    """A random place in the image where the mask, with some distance, meets no other; the best of 30."""
    height, width = mask.shape
    best, lowest = np.s_[:height, :width], float("inf")
    for _ in range(30):
        top = generator.integers(2, taken.shape[0] - height - 1)
        left = generator.integers(2, taken.shape[1] - width - 1)
        place = np.s_[max(0, top - 8) : top + height + 8, max(0, left - 8) : left + width + 8]
        crowd = int(np.count_nonzero(taken[place]))
        if crowd < lowest:
            best, lowest = np.s_[top : top + height, left : left + width], crowd
        if crowd == 0:
            break
    return best


def applied(base: Field, shape: Shape, contrast: float, generator: np.random.Generator) -> Field:
    """`base` [h, w] with the shape on it, so strong that its mask changes by `contrast` in the mean."""
    mask = shape.mask
    smooth = blurred(base, TEXTURE_SCALE)
    erased = shape.extent * (smooth - base)
    texture = float(np.abs(erased[mask]).mean()) + 1e-6
    if shape.erases:
        # It is the texture that is gone; a change of tone only helps where there is little of it.
        contrast = min(contrast, 1.4 * texture + 9)
        erased *= min(shape.hides, contrast / texture)
    else:
        # Faint defects let the texture show, strong ones cover it.
        erased *= shape.hides * contrast / (contrast + 2 * texture)
    # Dark is likelier on a bright surface, bright on a dark one, by the square of the room that is left.
    level = float(base[mask].mean())
    below, above = (level - DARKEST) ** 2, (BRIGHTEST - level) ** 2
    brighter = generator.random() * (below + above) < above
    profile = -shape.profile if shape.either_sign and brighter else shape.profile
    amplitude = _amplitude(base, erased, profile, mask, contrast)
    return _limited(base + erased + amplitude * profile)


def _amplitude(base: Field, erased: Field, profile: Field, mask: Mask, contrast: float) -> float:
    """Peak change, found by halving, whose mean over the mask is `contrast`, or the strongest if none is."""
    base, erased, profile = base[mask], erased[mask], profile[mask]
    low, high = 0.0, STRONGEST_CHANGE
    for _ in range(14):
        middle = (low + high) / 2
        changed = _limited(base + erased + middle * profile)
        if float(np.abs(changed - base).mean()) < contrast:
            low = middle
        else:
            high = middle
    return high


def _limited(image: Field) -> Field:
    return np.clip(image, DARKEST, BRIGHTEST)
