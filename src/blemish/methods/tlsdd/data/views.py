"""Views of an image as the network gets it: mirrored, brought to size, cut where it is larger than a tile.

Source: TL-SDD section IV-A, which mirrors on either axis and turns by 180°. Letters: H, W; n boxes; B images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.random import Generator

from blemish.arrays import Boxes, Floats, Integers, Pixels, Size
from blemish.images.decode import to_unit
from blemish.images.resize import resized, with_shorter_side
from blemish.methods.tlsdd.data.training_images import IGNORED
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.regions.boxes import box_area, clip_boxes

if TYPE_CHECKING:
    from torch import Tensor

PADDING = -1
MULTIPLE = 32  # pixels: the deepest map's stride
Padding = Literal["edge", "black"]
Sides = TypeVar("Sides", int, "Tensor")
MIRRORED = 4  # views of `mirrored`
VISIBLE = 0.3  # share of a box from which the part that a cut leaves still shows the defect


@dataclass(frozen=True)
class View:
    """Image with its boxes. pixels: [H, W, 3]; boxes: [n, 4] xyxy pixels; labels: [n], −2 ignored"""

    pixels: Pixels
    boxes: Boxes
    labels: Integers


def mirrored(view: View, settings: TlsddSettings, generator: Generator) -> View:
    """Mirror a view on neither, one or both axes (turned by 180°), each as likely."""
    across, down = generator.integers(2, size=2) if settings.flips else (0, 0)
    height, width = view.pixels.shape[:2]
    boxes = view.boxes.copy()
    if across:
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    if down:
        boxes[:, [1, 3]] = height - boxes[:, [3, 1]]
    pixels = view.pixels[:: -1 if down else 1, :: -1 if across else 1].copy()
    return View(pixels, boxes, view.labels)


def fitted(view: View, settings: TlsddSettings, focus: int | None, generator: Generator) -> View:
    """Resize a view to `settings.size`; of one larger than a tile, cut a tile about box `focus`."""
    height, width = view.pixels.shape[:2]
    size = with_shorter_side((height, width), settings.shorter_side)
    boxes = scaled(view.boxes, (height, width), settings.shorter_side)
    enlarged = View(resized(view.pixels, size), boxes, view.labels)
    return enlarged if max(size) <= settings.tile else tile_about(enlarged, settings.tile, focus, generator)


def network_input(
    pixels: Pixels, boxes: Boxes, settings: TlsddSettings, generator: Generator
) -> tuple[Floats, Size, Boxes]:
    """Prepare an image with boxes [n, 4] for the network; of a large one, a tile about the first box.

    returns: the input [1, 3, H, W], its (height, width) without padding, and the boxes on it
    """
    view = View(pixels, boxes.astype(np.float32), np.full(len(boxes), IGNORED))
    view = fitted(view, settings, 0, generator)
    images, ((height, width),) = batched([view], settings.padding)
    return images, (int(height), int(width)), view.boxes


def scaled(boxes: Boxes, size: Size, shorter: int | None) -> Boxes:
    """Boxes [n, 4] of an image of `size` in pixels of the network's input."""
    height, width = with_shorter_side(size, shorter)
    across, down = width / size[1], height / size[0]
    return boxes * np.array([across, down, across, down], np.float32)


def tile_about(view: View, tile: int, focus: int | None, generator: Generator) -> View:
    """Cut a tile that holds the centre of box `focus`, or lies anywhere; boxes mostly outside are ignored."""
    height, width = view.pixels.shape[:2]
    box = view.boxes[focus] if focus is not None else np.array([0, 0, width, height], np.float32)
    left = tile_start(box[0], box[2], width, tile, generator)
    top = tile_start(box[1], box[3], height, tile, generator)
    pixels = view.pixels[top : top + tile, left : left + tile]
    moved = view.boxes - np.array([left, top, left, top], np.float32)
    boxes = clip_boxes(moved, pixels.shape[:2]).astype(np.float32)
    share = box_area(boxes) / np.maximum(box_area(view.boxes), 1e-6)
    hidden = share < VISIBLE
    if focus is not None:
        hidden[focus] = False
    labels = np.where(hidden, IGNORED, view.labels)
    inside = box_area(boxes) > 0
    return View(pixels, boxes[inside], labels[inside])


def tile_start(low: float, high: float, length: int, tile: int, generator: Generator) -> int:
    """Start of a tile on one axis: anywhere in the image, such that the tile shows low … high if it can."""
    last = max(0, length - tile)
    ends = (high - tile, low) if high - low <= tile else (low, high - tile)
    first, final = (int(np.clip(round(float(end)), 0, last)) for end in ends)
    return int(generator.integers(first, final + 1))


def batched(views: Sequence[View], padding: Padding) -> tuple[Floats, Integers]:
    """Images [B, 3, H, W] in [0, 1], and the views' sizes (h, w) [B, 2].

    padding: what lies right of and below each view, see `TlsddSettings.padding`
    They lie channels last in memory, as the network reads them, so that nothing is copied again.
    """
    sizes = np.array([view.pixels.shape[:2] for view in views], np.int64)
    height, width = (whole_cells(int(side)) for side in sizes.max(axis=0))
    images = np.zeros((len(views), height, width, 3), np.float32)
    for image, view in zip(images, views, strict=True):
        h, w = view.pixels.shape[:2]
        image[:h, :w] = to_unit(view.pixels)
        if padding == "edge":
            image[:h, w:] = image[:h, w - 1 : w]
            image[h:] = image[h - 1]
    return images.transpose(0, 3, 1, 2), sizes


def whole_cells(side: Sides) -> Sides:
    """Pixels of a side, or of each, with what pads it to whole cells of the deepest map."""
    return -(-side // MULTIPLE) * MULTIPLE


def padded_boxes(views: Sequence[View]) -> tuple[Boxes, Integers]:
    """Boxes [B, M, 4] and labels [B, M] with −1 behind each image's own; M is at least 1."""
    count = max(1, *(len(view.boxes) for view in views))
    boxes = np.zeros((len(views), count, 4), np.float32)
    labels = np.full((len(views), count), PADDING, np.int64)
    for row, view in enumerate(views):
        boxes[row, : len(view.boxes)] = view.boxes
        labels[row, : len(view.labels)] = view.labels
    return boxes, labels
