"""Sizes and aspect ratios of boxes by class: how rare classes differ from common ones, and from anchors.

Results are plain data for JSON, with "sentences" for people. Letters: n boxes, A anchor shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from blemish.arrays import Boxes, Floats

USUAL = (0.05, 0.95)  # quantiles of the common boxes between which a rare box is nothing unusual
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MANY = 0.2  # share of a class's boxes from which a gap is worth a sentence
ANCHOR_IOU = 0.5  # below, an anchor must be moved far to become the box


def gaps(
    common: Mapping[str, Boxes],
    rare: Mapping[str, Boxes],
    *,
    anchor_sizes: Sequence[int],
    aspect_ratios: Sequence[float],
) -> dict[str, Any]:
    """Differences of the rare boxes from the common ones in size and aspect ratio, and from the anchors.

    common, rare: class name to boxes [n, 4] in pixels of the network's input
    anchor_sizes: square roots of areas, pixels, of all maps; aspect_ratios: height / width
    returns: "classes" and "common" with quantiles, and "sentences". Anchors are taken as lying exactly on
        each box, so that the share of boxes that fit none is a lower bound.
    """
    usual = np.concatenate([*common.values(), np.zeros((0, 4), np.float32)])
    anchors = anchor_shapes(anchor_sizes, aspect_ratios)
    classes = {name: class_shape(boxes, anchors) for name, boxes in {**common, **rare}.items()}
    sentences: list[str] = []
    for name, boxes in rare.items():
        if len(boxes):
            sentences += size_sentences(name, sizes_of(boxes), sizes_of(usual))
            sentences += aspect_sentences(name, aspects_of(boxes), aspects_of(usual))
    for name, shape in classes.items():
        sentences += anchor_sentences(name, shape["off_anchors"], shape["size"])
    if not sentences:
        sentences = [
            "The rare boxes have the sizes and aspect ratios of the common ones, and anchors fit them."
        ]
    return {"classes": classes, "common": class_shape(usual, anchors), "sentences": sentences}


def anchor_shapes(sizes: Sequence[int], ratios: Sequence[float]) -> Floats:
    """Width and height of every anchor, [A, 2] pixels."""
    return np.array([(size / ratio**0.5, size * ratio**0.5) for size in sizes for ratio in ratios])


def class_shape(boxes: Boxes, anchors: Floats) -> dict[str, Any]:
    """Quantiles of size and aspect, and the share of boxes that no anchor fits."""
    if not len(boxes):
        return {"boxes": 0, "size": None, "aspect": None, "off_anchors": None}
    return {
        "boxes": len(boxes),
        "size": quantiles(sizes_of(boxes)),
        "aspect": quantiles(aspects_of(boxes)),
        "off_anchors": float(np.mean(best_anchor(boxes, anchors) < ANCHOR_IOU)),
    }


def quantiles(values: Floats) -> dict[str, float]:
    """Quantiles of values [n] by their share, such as "0.05"."""
    return {f"{share:g}": round(float(np.quantile(values, share)), 3) for share in QUANTILES}


def sides_of(boxes: Boxes) -> Floats:
    """Width and height of boxes, [n, 2] pixels."""
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6).astype(np.float64)


def sizes_of(boxes: Boxes) -> Floats:
    """Square roots of the boxes' areas, [n] pixels."""
    return np.sqrt(sides_of(boxes).prod(axis=1))


def aspects_of(boxes: Boxes) -> Floats:
    """Height / width of the boxes, [n]."""
    sides = sides_of(boxes)
    return sides[:, 1] / sides[:, 0]


def best_anchor(boxes: Boxes, anchors: Floats) -> Floats:
    """IoU of each box with the anchor shape [A, 2] that fits it best, both about one centre, [n]."""
    sides = sides_of(boxes)
    shared = np.minimum(sides[:, None], anchors).prod(axis=2)
    either = sides.prod(axis=1)[:, None] + anchors.prod(axis=1) - shared
    return (shared / either).max(axis=1)


def size_sentences(name: str, sizes: Floats, usual: Floats) -> list[str]:
    low, high, below, above = outside(sizes, usual)
    between = f"common ones lie between {low:.0f} and {high:.0f} px (5–95 %)"
    lines = []
    if below >= MANY:
        lines.append(
            f"{below:.0%} of {len(sizes)} '{name}' are smaller than usual: "
            f"median {np.median(sizes):.0f} px, {between}."
        )
    if above >= MANY:
        lines.append(
            f"{above:.0%} of {len(sizes)} '{name}' are larger than usual: "
            f"median {np.median(sizes):.0f} px, {between}."
        )
    return lines


def aspect_sentences(name: str, aspects: Floats, usual: Floats) -> list[str]:
    low, high, below, above = outside(aspects, usual)
    between = f"height / width {np.median(aspects):.2g}, common ones {low:.2g} to {high:.2g} (5–95 %)"
    lines = []
    if below >= MANY:
        lines.append(f"{below:.0%} of {len(aspects)} '{name}' are flatter than usual: median {between}.")
    if above >= MANY:
        lines.append(f"{above:.0%} of {len(aspects)} '{name}' are taller than usual: median {between}.")
    return lines


def outside(values: Floats, usual: Floats) -> tuple[float, float, float, float]:
    """Ends of the usual range, and the shares of `values` below and above it; zeros without usual values."""
    if not len(usual):
        return 0.0, 0.0, 0.0, 0.0
    low, high = (float(edge) for edge in np.quantile(usual, USUAL))
    return low, high, float(np.mean(values < low)), float(np.mean(values > high))


def anchor_sentences(name: str, off: float | None, size: Mapping[str, float] | None) -> list[str]:
    if off is None or size is None or off < MANY:
        return []
    return [
        f"{off:.0%} of '{name}' fit no anchor (IoU below {ANCHOR_IOU:g}; median size {size['0.5']:.0f} px). "
        "Set anchor_sizes or aspect_ratios."
    ]
