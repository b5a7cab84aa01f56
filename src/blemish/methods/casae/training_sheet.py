"""A picture of what training sees: images as drawn, with their truth, so that ranges can be judged."""

from __future__ import annotations

from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from blemish.images.drawing import TRUTH, RgbImage, draw_outlines
from blemish.images.resize import resized
from blemish.methods.casae.sources import MapSource
from blemish.methods.casae.truth import DEFECT, IGNORED
from blemish.regions.measure import outlines

SIDE = 224  # pixels of one image in the sheet
GAP = 4


def training_sheet(source: MapSource, *, rows: int = 2, columns: int = 4) -> RgbImage:
    """The first images that the source draws: the truth outlined, what lies beyond the image dark.

    returns: [H, W, 3], white between the images
    """
    drawn: list[RgbImage] = []
    steps = count()
    while len(drawn) < rows * columns:
        batch = source.draw(next(steps), 0)
        drawn += [one(*pair) for pair in zip(batch["images"], batch["truth"], strict=True)]
    side = SIDE + GAP
    sheet = np.full((rows * side - GAP, columns * side - GAP, 3), 255, np.uint8)
    for number, picture in enumerate(drawn[: rows * columns]):
        top, left = side * (number // columns), side * (number % columns)
        sheet[top : top + SIDE, left : left + SIDE] = picture
    return sheet


def one(image: Tensor, truth: Tensor) -> RgbImage:
    """[SIDE, SIDE, 3] of an image [C, s, s] about [0, 1] and its truth [s, s]."""
    planes: NDArray[np.float32] = image.numpy().transpose(1, 2, 0)
    pixels = (255 * planes.clip(0, 1)).astype(np.uint8).squeeze()
    marks = truth.numpy()
    beyond = cv2.resize((marks == IGNORED).view(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    picture = resized(pixels, (SIDE, SIDE))
    picture[beyond > 0] //= 3
    scale = SIDE / len(marks)
    contours = [[(scale * x, scale * y) for x, y in part] for part in outlines(marks == DEFECT)]
    return draw_outlines(picture, contours, colour=TRUTH, thickness=1)
