"""Dense maps of large images: tiles with a halo through the network, their cores merged without seams.

Letters: H, W pixels of the image; h, w entries of the map (one per stride×stride pixels); B tiles of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.decode import to_unit

DenseNetwork = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Tiling:
    """Cutting of an image: side of the square tiles, halo dropped at inner edges, stride of the network.

    All in pixels; tile and halo are multiples of the stride, and the halo is at least the network's reach, so
    that every kept value is the one that the whole image would have given. batch: tiles at once
    Raises BlemishError for a tile or halo that is no multiple of the stride, and a tile that is all halo.
    """

    tile: int
    halo: int
    stride: int
    batch: int = 1

    def __post_init__(self) -> None:
        for name in ("tile", "halo"):
            value = getattr(self, name)
            if value % self.stride:
                remedy = -(-value // self.stride) * self.stride
                raise BlemishError(
                    f"{name} must be a multiple of the stride {self.stride}. Received: {value}. Use {remedy}."
                )
        if self.tile <= 2 * self.halo:
            raise BlemishError(
                f"tile must be more than twice the halo {self.halo}. Received: {self.tile}. "
                f"Use {2 * self.halo + 256 // self.stride * self.stride} or more."
            )


@dataclass(frozen=True)
class Span:
    """A tile along one axis: its extent [start, stop) and the part [keep_start, keep_stop) that is kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def dense_map(image: Pixels, network: DenseNetwork, tiling: Tiling) -> NDArray[np.float32]:
    """The network's map of the whole image, see `dense_maps`; of several, the first."""
    return dense_maps(image, network, tiling, count=1)[0]


def dense_maps(image: Pixels, network: DenseNetwork, tiling: Tiling, *, count: int) -> NDArray[np.float32]:
    """The network's maps of the whole image.

    image: [H, W] or [H, W, 3]; sides that are no multiple of the stride are continued with their last pixels
    network: [B, C, tile, tile] float32 in [0, 1] → [B, K, tile / stride, tile / stride]; count: K
    returns: [K, ceil(H / stride), ceil(W / stride)] float32
    """
    whole = pad_to_multiple(image, tiling.stride)
    height, width = whole.shape[:2]
    stride = tiling.stride
    merged = np.empty((count, height // stride, width // stride), np.float32)
    windows = list(product(spans(height, tiling), spans(width, tiling)))
    for first in range(0, len(windows), tiling.batch):
        group = windows[first : first + tiling.batch]
        inputs = np.stack([planes(whole[y.start : y.stop, x.start : x.stop]) for y, x in group])
        for (y, x), output in zip(group, network(inputs), strict=True):
            target = tuple(slice(axis.keep_start // stride, axis.keep_stop // stride) for axis in (y, x))
            source = tuple(
                slice((axis.keep_start - axis.start) // stride, (axis.keep_stop - axis.start) // stride)
                for axis in (y, x)
            )
            merged[:, *target] = output[:count, *source]
    return merged


def spans(length: int, tiling: Tiling) -> Iterator[Span]:
    """Tiles along an axis of `length` pixels; the last is moved back, so that all are of one size."""
    if length <= tiling.tile:
        yield Span(0, length, 0, length)
        return
    step = tiling.tile - 2 * tiling.halo
    done = 0
    for start in [*range(0, length - tiling.tile, step), length - tiling.tile]:
        stop = start + tiling.tile
        keep_stop = length if stop == length else stop - tiling.halo
        yield Span(start, stop, done, keep_stop)
        done = keep_stop


def planes(window: Pixels) -> NDArray[np.float32]:
    """Pixels [h, w] or [h, w, C] as float32 planes [C, h, w] in [0, 1]."""
    unit = to_unit(window)
    return unit[None] if unit.ndim == 2 else np.ascontiguousarray(unit.transpose(2, 0, 1))


def pad_to_multiple(image: Pixels, stride: int) -> Pixels:
    """The image continued with its last pixels to sides that are multiples of the stride."""
    down, right = -image.shape[0] % stride, -image.shape[1] % stride
    if not down and not right:
        return image
    return cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE)
