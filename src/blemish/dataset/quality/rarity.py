"""Reasons why a rare class may fail, known before anything is trained.

They are how its boxes differ from the common ones, and how few of them the anchors of a usual detector meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from blemish.arrays import Boxes, Size
from blemish.dataset.boxes import Boxed
from blemish.regions.box_statistics import (
    ANCHOR_IOU,
    MANY,
    anchor_shapes,
    aspect_sentences,
    aspects_of,
    class_shape,
    size_sentences,
    sizes_of,
)

RARE_SHARE = 1 / 3  # of the most frequent class's images, up to which a class is called rare
# Anchors that detectors with a feature pyramid commonly start from, on images scaled to these sides.
ANCHOR_SIZES, ASPECT_RATIOS = (32, 64, 128, 256, 512), (0.5, 1.0, 2.0)
SHORTER_SIDE, LONGEST_SIDE = 800, 1333


def rare_classes(images: Mapping[str, int]) -> tuple[str, ...]:
    """Classes seen in few images beside the most frequent one. images: class → images that show it"""
    largest = max(images.values(), default=0)
    return tuple(name for name, number in images.items() if 0 < number <= RARE_SHARE * largest)


def shape_findings(
    boxed: Sequence[tuple[Size, Sequence[Boxed]]], images: Mapping[str, int]
) -> dict[str, Any] | None:
    """Sizes and shapes of each class's boxes in image pixels, and sentences; None without any box.

    boxed: (height, width) and boxes of each image
    "off_anchors" is the share of boxes that no usual anchor meets, of images scaled as is usual
    """
    if not any(boxes for _, boxes in boxed):
        return None
    anchors = anchor_shapes(ANCHOR_SIZES, ASPECT_RATIOS)
    rare = rare_classes(images)
    plain = {name: boxes_of(boxed, name) for name in images}
    scaled = {name: boxes_of(boxed, name, scaled=True) for name in images}
    classes = {
        name: {
            **class_shape(plain[name], anchors),
            "off_anchors": class_shape(scaled[name], anchors)["off_anchors"],
        }
        for name in images
    }
    usual = np.concatenate([boxes for name, boxes in plain.items() if name not in rare])
    sentences = [line for name in rare for line in gap_sentences(name, plain[name], usual)]
    sentences += [line for name, shape in classes.items() for line in anchor_sentences(name, shape)]
    return {"classes": classes, "rare": list(rare), "sentences": sentences}


def boxes_of(boxed: Sequence[tuple[Size, Sequence[Boxed]]], name: str, *, scaled: bool = False) -> Boxes:
    """[n, 4] boxes of a class, in pixels of the image, or of the scaled image that a detector takes."""
    corners = [
        np.array(box.box_xyxy, np.float32) * (usual_scale(size) if scaled else 1.0)
        for size, boxes in boxed
        for box in boxes
        if box.label == name
    ]
    return np.array(corners, np.float32).reshape(-1, 4)


def usual_scale(size: Size) -> float:
    """Factor that detectors commonly scale an image of `size` by."""
    return min(SHORTER_SIDE / min(size), LONGEST_SIDE / max(size))


def gap_sentences(name: str, boxes: Boxes, usual: Boxes) -> list[str]:
    if not len(boxes):
        return []
    return [
        *size_sentences(name, sizes_of(boxes), sizes_of(usual)),
        *aspect_sentences(name, aspects_of(boxes), aspects_of(usual)),
    ]


def anchor_sentences(name: str, shape: Mapping[str, Any]) -> list[str]:
    off = shape["off_anchors"]
    if off is None or off < MANY:
        return []
    anchors = f"{ANCHOR_SIZES[0]} to {ANCHOR_SIZES[-1]} px, sides 1:2 to 2:1"
    return [
        f"{off:.0%} of {shape['boxes']} boxes of '{name}' fit none of a detector's usual anchors ({anchors}, "
        f"on images scaled to {SHORTER_SIDE} px; IoU below {ANCHOR_IOU:g}): most detectors need others. "
        "tlsdd's have sides of 1:8 to 8:1, and its training says what proposals miss. This concerns "
        "no other method."
    ]
