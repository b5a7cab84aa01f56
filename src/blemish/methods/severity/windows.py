"""Windows of stage 4: the blocks of a defect that the type classifier is given.

Source: He & Liu 2020, section III-C-2: a sliding window cuts the image into overlapping blocks, those with
enough of the defect count; a defect larger than the window doubles it, and the block is then resized down.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.images.decode import luminance, to_bytes

SquareWindow = tuple[int, int, int]  # left, top, side in pixels


def windows_on(
    mask: NDArray[np.bool_], offset_xy: tuple[int, int], *, window: int, step: int, overlap: float
) -> list[SquareWindow]:
    """Windows that hold at least `overlap` of the defect's area, in reading order; always at least the
    centred one.

    mask: [h, w] of the defect, its first pixel at offset_xy of the image
    window: side before doubling; step: of the sliding at that side, grows with it
    """
    height, width = mask.shape
    side = window_side(max(height, width), window)
    stride = step * side // window
    reach = (side // 2) // stride
    shifts = stride * np.arange(-reach, reach + 1)
    left, top = width // 2 - side // 2 + shifts, height // 2 - side // 2 + shifts  # in the mask
    areas = areas_inside(mask, left, top, side)
    rows, columns = np.nonzero(areas >= overlap * np.count_nonzero(mask))
    if not len(rows):
        rows = columns = np.array([reach])
    across, down = offset_xy
    return [
        (int(left[column]) + across, int(top[row]) + down, side)
        for row, column in zip(rows, columns, strict=True)
    ]


def window_side(longest: int, window: int) -> int:
    """Side of a window that holds a defect of that longest side: `window`, doubled as often as it takes."""
    side = window
    while side < longest:
        side *= 2
    return side


def areas_inside(
    mask: NDArray[np.bool_], left: NDArray[np.intp], top: NDArray[np.intp], side: int
) -> NDArray[np.int32]:
    """Defect pixels in the window at each top and left, [tops, lefts]; coordinates are the mask's."""
    height, width = mask.shape
    integral = cv2.integral(mask.view(np.uint8))
    x0, x1 = np.clip(left, 0, width), np.clip(left + side, 0, width)
    y0, y1 = np.clip(top, 0, height), np.clip(top + side, 0, height)
    upper, lower = integral[y0], integral[y1]
    return lower[:, x1] - lower[:, x0] - upper[:, x1] + upper[:, x0]


def cut(pixels: Pixels, window: SquareWindow, size: int) -> NDArray[np.uint8]:
    """Pixels of a window as [size, size, 3] uint8; outside the image its mirror image continues it."""
    left, top, side = window
    height, width = pixels.shape[:2]
    rows = mirrored(np.arange(top, top + side), height)
    columns = mirrored(np.arange(left, left + side), width)
    block = to_bytes(pixels[np.ix_(rows, columns)])
    if side != size:
        block = cv2.resize(block, (size, size), interpolation=cv2.INTER_AREA)
    return np.repeat(block[..., None], 3, axis=2) if block.ndim == 2 else block


def mirrored(positions: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Positions reflected into [0, length) about the first and the last pixel, as often as it takes."""
    if length == 1:
        return np.zeros_like(positions)
    period = 2 * (length - 1)
    folded = positions % period
    return np.where(folded < length, folded, period - folded)


def network_input(blocks: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Stack blocks [size, size, 3] to [B, 3, size, size] in [0, 1]."""
    return np.ascontiguousarray(np.stack(blocks).transpose(0, 3, 1, 2), dtype=np.float32) / 255.0


def intensity_of(pixels: Pixels, how: str = "luminance") -> NDArray[np.uint8]:
    """Intensity [H, W] in 0…255 that severities are defined on: "luminance", or the "brightest" channel."""
    if how == "brightest" and pixels.ndim == 3:
        return to_bytes(pixels.max(axis=2))
    return to_bytes(luminance(pixels))
