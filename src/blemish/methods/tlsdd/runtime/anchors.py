"""Anchors on the maps of an image, and boxes that a network moves them to: arithmetic alone, without torch.

Source: Ren et al. 2015, section 3.1 (anchors) and eq. 2 (a box relative to another), in
torchvision's conventions: anchors rounded to whole pixels about a cell's upper left corner. Letters: N boxes,
A anchors of a cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from blemish.arrays import Boxes
from blemish.errors import BlemishError
from blemish.methods.tlsdd.settings import TlsddSettings

MAX_GROWTH = math.log(1000 / 16)  # of a side, as a logarithm: beyond, a wild output would overflow
POOL = "pool"  # the map that only proposals are made on


def map_names(settings: TlsddSettings) -> tuple[str, ...]:
    """Names of the extractor's maps, the finest first."""
    if not settings.feature_fusion:
        return ("0",)
    return (*(str(number) for number in range(stage_number(settings.deepest))), POOL)


def map_strides(settings: TlsddSettings) -> tuple[int, ...]:
    """Pixels of a cell of each map."""
    if not settings.feature_fusion:
        return (2 ** (1 + stage_number(settings.single_map)),)
    return tuple(4 * 2**number for number in range(len(map_names(settings))))


def stage_number(stage: str) -> int:
    """Number of a ResNet's stage: 1 for "layer1", the first behind the stem."""
    return int(stage.removeprefix("layer"))


def anchor_sizes(settings: TlsddSettings, strides: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Anchor sizes of each map: as set, dealt out evenly; without sizes four times each stride.

    One map takes the sizes of a whole pyramid. "auto" is as without, as long as the data have not said.
    Raises BlemishError when the sizes cannot be dealt out evenly, since all maps share one head.
    """
    sizes = settings.anchor_sizes
    if not sizes or sizes == "auto":
        return ((16, 32, 64, 128, 256),) if len(strides) == 1 else tuple((4 * stride,) for stride in strides)
    each, rest = divmod(len(sizes), len(strides))
    if rest or not each:
        raise BlemishError(
            f"anchor_sizes must be a multiple of the {len(strides)} feature maps in number. "
            f"Received: {len(sizes)}. Give {len(strides)}, or leave it out."
        )
    return tuple(tuple(sizes[first : first + each]) for first in range(0, len(sizes), each))


def cell_anchors(sizes: Sequence[int], aspect_ratios: Sequence[float]) -> Boxes:
    """Anchors about the origin, [A, 4], for each ratio height / width every size."""
    tall = np.sqrt(np.array(aspect_ratios, np.float32))
    lengths = np.array(sizes, np.float32)
    heights, widths = np.outer(tall, lengths).ravel(), np.outer(1 / tall, lengths).ravel()
    return np.round(np.stack([-widths, -heights, widths, heights], axis=1) / 2)


def moved_boxes(boxes: Boxes, deltas: Boxes, weights: Sequence[float] = (1, 1, 1, 1)) -> Boxes:
    """Boxes [N, 4] moved by [N, 4]: the centre by shares of the sides, the sides by factors' logarithms.

    weights: that the deltas along x, y, width and height are divided by
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    parts = deltas / np.array(weights, np.float32)
    centres = parts[:, :2] * sides + (boxes[:, :2] + np.float32(0.5) * sides)
    halves = np.float32(0.5) * np.exp(np.minimum(parts[:, 2:], np.float32(MAX_GROWTH))) * sides
    return np.concatenate([centres - halves, centres + halves], axis=1)


def box_deltas(boxes: Boxes, targets: Boxes, weights: Sequence[float] = (1, 1, 1, 1)) -> Boxes:
    """Deltas [N, 4] by which `moved_boxes` moves boxes [N, 4] to targets [N, 4]; sides are above 0."""
    sides, target_sides = boxes[:, 2:] - boxes[:, :2], targets[:, 2:] - targets[:, :2]
    shifts = (targets[:, :2] + targets[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / sides
    growth = np.log(target_sides / sides)
    deltas: Boxes = np.concatenate([shifts, growth], axis=1) * np.array(weights, np.float32)
    return deltas
