"""Sheet of training images as drawn, with their truth, to judge the ranges of the augmentation by."""

from __future__ import annotations

from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from blemish.images.drawing import TRUTH, draw_outlines
from blemish.images.resize import resized
from blemish.methods.casae.training.sources import MapSource
from blemish.methods.common.warps import DEFECT, IGNORED
from blemish.regions.measure import outlines

SIDE = 224  # pixels of one image in the sheet
GAP = 4


def training_sheet(source: MapSource, *, rows: int = 2, columns: int = 4) -> NDArray[np.uint8]:
    """Draw the first images of a source: the truth outlined, pixels beyond the image dark.

    returns: [H, W, 3] RGB, white between the images
    """
    drawn: list[NDArray[np.uint8]] = []
    steps = count()
    while len(drawn) < rows * columns:
        batch = source.draw(next(steps), 0)
        drawn += [outlined_image(*pair) for pair in zip(batch["images"], batch["truth"], strict=True)]
    side = SIDE + GAP
    sheet = np.full((rows * side - GAP, columns * side - GAP, 3), 255, np.uint8)
    for number, image in enumerate(drawn[: rows * columns]):
        top, left = side * (number // columns), side * (number % columns)
        sheet[top : top + SIDE, left : left + SIDE] = image
    return sheet


def outlined_image(image: Tensor, truth: Tensor) -> NDArray[np.uint8]:
    """Image [C, s, s] about [0, 1] with its truth [s, s] outlined, as [SIDE, SIDE, 3] RGB."""
    planes: NDArray[np.float32] = image.numpy().transpose(1, 2, 0)
    pixels = (255 * planes.clip(0, 1)).astype(np.uint8).squeeze()
    marks = truth.numpy()
    beyond = cv2.resize((marks == IGNORED).view(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    small = resized(pixels, (SIDE, SIDE))
    small[beyond > 0] //= 3
    scale = SIDE / len(marks)
    contours = [[(scale * x, scale * y) for x, y in part] for part in outlines(marks == DEFECT)]
    return draw_outlines(small, contours, colour=TRUTH, thickness=1)
