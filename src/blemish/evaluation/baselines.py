"""Trivial baselines: how good answers are that take no training, beside which a bundle is to be judged.

Of images: their mean brightness, and how much nearer each is to a defective than to a good training image. Of
places: the findings of one image held against the defects of another, which meet as many as chance does.
A few hundred images are read, and reduced. Letters: N images, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box, Floats, RgbImage, Size
from blemish.dataset.ignored import is_doubtful
from blemish.dataset.samples import Sample
from blemish.errors import BlemishError
from blemish.evaluation.defects import MATCH_IOU
from blemish.evaluation.image import is_decided, is_defective
from blemish.evaluation.matching import box_ious, match
from blemish.evaluation.records import ImageRecord
from blemish.images.bit_depth import full_range
from blemish.images.decode import largest_value, read_image
from blemish.images.resize import resized
from blemish.ranks import auroc

SIDE = 128  # pixels of the square that images are squeezed to
MAX_IMAGES, MIN_IMAGES = 200, 10  # of those measured, and again of those of the training
MAX_PIXELS = 400_000_000  # decoded for each of the two, unless that is fewer than MIN_IMAGES
MAX_SHIFTS = 10
BINS = 32
Item = TypeVar("Item")


@dataclass(frozen=True)
class ImageFeatures:
    """Features by which images are near to each other.

    name: in words; extract: images [N, SIDE, SIDE, 3] uint8 RGB to features [N, D], to be compared by their
        Euclidean distance
    """

    name: str
    extract: Callable[[NDArray[np.uint8]], Floats]


def image_baselines(
    records: Sequence[ImageRecord],
    training: Sequence[Sample],
    features: ImageFeatures,
    *,
    bits: int | None = None,
) -> dict[str, Any] | None:
    """AUROC of the trivial baselines and of the answers, all on the same images; None without both kinds.

    training: images to be compared with, none of them measured; bits: that 16-bit images use
    """
    scored = [r for r in records if r.inspection.score is not None and is_decided(r)]
    limit = image_limit([record.inspection.size for record in scored])
    chosen = spread_choice(scored, is_defective, limit)
    shown = [(image, r) for r in chosen if (image := small_image(r.sample, bits)) is not None]
    defective = np.array([is_defective(record) for _, record in shown], dtype=bool)
    if defective.all() or not defective.any():
        return None
    images = np.stack([image for image, _ in shown])
    parts: dict[str, Any] = {
        "images": {"defective": int(defective.sum()), "good": int((~defective).sum())},
        "answers": {"auroc": auroc([record.inspection.score or 0.0 for _, record in shown], defective)},
        "brightness": brightness_baseline(images, defective),
    }
    known = [sample for sample in training if not is_doubtful(sample)]
    known = spread_choice(known, lambda sample: sample.is_defective, limit)
    references = [(image, s.is_defective) for s in known if (image := small_image(s, bits)) is not None]
    if references:
        parts["nearest"] = nearest_baseline(images, defective, references, features)
    return parts


def brightness_baseline(images: NDArray[np.uint8], defective: NDArray[np.bool_]) -> dict[str, Any]:
    """AUROC of mean brightness, with the better of "bright" and "dark" as the worse. images: [N, S, S, 3]"""
    value = auroc(images.mean(axis=(1, 2, 3)), defective)
    assert value is not None
    return {"auroc": max(value, 1 - value), "worse": "bright" if value >= 0.5 else "dark"}


def nearest_baseline(
    images: NDArray[np.uint8],
    defective: NDArray[np.bool_],
    references: Sequence[tuple[RgbImage, bool]],
    features: ImageFeatures,
) -> dict[str, Any]:
    """AUROC of the distance to the nearest good reference less that to the nearest defective one.

    It is one of the two where there are no references of the other kind.
    images: [N, S, S, 3]; references: images [S, S, 3], True for a defective one
    """
    own, scores = features.extract(images), np.zeros(len(images))
    counts = {}
    for kind, is_bad in (("good", False), ("defective", True)):
        of_kind = [image for image, bad in references if bad is is_bad]
        counts[kind] = len(of_kind)
        if of_kind:
            distances = nearest_distances(own, features.extract(np.stack(of_kind)))
            scores += -distances if is_bad else distances
    return {"auroc": auroc(scores, defective), "features": features.name, "references": counts}


def nearest_distances(features: Floats, references: Floats) -> Floats:
    """Euclidean distance [N] of each row to the nearest of the references. features: [N, D]"""
    ours, theirs = features.astype(np.float64), references.astype(np.float64)
    squares = (ours**2).sum(1)[:, None] + (theirs**2).sum(1) - 2 * ours @ theirs.T
    return np.sqrt(np.maximum(squares, 0)).min(axis=1)


def image_limit(sizes: Sequence[Size | None]) -> int:
    """Number of images that may be read. sizes: (height, width) of them"""
    pixels = [size[0] * size[1] for size in sizes if size is not None]
    return int(np.clip(MAX_PIXELS // max(1, *pixels, 1), MIN_IMAGES, MAX_IMAGES))


def spread_choice(items: Sequence[Item], is_bad: Callable[[Item], bool], limit: int) -> list[Item]:
    """At most `limit` of the items, half of them bad where there are so many, evenly spread in each kind."""
    bad, good = ([item for item in items if is_bad(item) is kind] for kind in (True, False))
    of_bad = min(len(bad), max(limit // 2, limit - len(good)))
    of_good = min(len(good), limit - of_bad)
    return [
        kind[index * len(kind) // number]
        for kind, number in ((bad, of_bad), (good, of_good))
        for index in range(number)
    ]


def small_image(sample: Sample, bits: int | None) -> RgbImage | None:
    """A sample's image in 8 bits and RGB, [SIDE, SIDE, 3]; None where it cannot be read."""
    try:
        pixels = full_range(read_image(sample.image, channels=3), bits, sample.id)
    except BlemishError:
        return None
    small = resized(pixels, (SIDE, SIDE))
    return (small // (largest_value(pixels) // 255)).astype(np.uint8)


def histograms(images: NDArray[np.uint8]) -> Floats:
    """Roots of the histograms of gray values and of their gradients, [N, 2 · BINS].

    images: [N, S, S, 3]; distances of roots of histograms are Hellinger's
    """
    rows = []
    for image in images:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        steps = np.hypot(np.diff(gray, axis=0)[:, :-1], np.diff(gray, axis=1)[:-1])
        parts = [
            np.histogram(gray, bins=BINS, range=(0, 256))[0] / gray.size,
            np.histogram(np.log1p(steps), bins=BINS, range=(0, 6))[0] / steps.size,
        ]
        rows.append(np.sqrt(np.concatenate(parts)))
    return np.stack(rows)


HISTOGRAMS = ImageFeatures("gray and gradient histograms", histograms)


def places_by_chance(records: Sequence[ImageRecord]) -> dict[str, Any] | None:
    """How many annotated defects the findings meet, by boxes, and how many those of other images would meet.

    A finding of another image keeps its place relative to the image's size. None without two images that
    have defects of known place.
    """
    placed = [(r, r.inspection.size) for r in records if r.truth and r.inspection.size is not None]
    if len(placed) < 2:
        return None
    shifts = range(1, len(placed), -(-(len(placed) - 1) // MAX_SHIFTS))
    met = [sum(met_from(placed, i, (i + s) % len(placed)) for i in range(len(placed))) for s in (0, *shifts)]
    return {
        "of": sum(len(record.truth) for record, _ in placed),
        "found": met[0],
        "by_chance": float(np.mean(met[1:])),
    }


def met_from(placed: Sequence[tuple[ImageRecord, Size]], at: int, other: int) -> int:
    """Number of the defects of image `at` that findings of image `other` would match."""
    (record, size), (donor, from_size) = placed[at], placed[other]
    x, y = size[1] / from_size[1], size[0] / from_size[0]
    found = donor.inspection.defects
    boxes: list[Box] = [
        (d.box_xyxy[0] * x, d.box_xyxy[1] * y, d.box_xyxy[2] * x, d.box_xyxy[3] * y) for d in found
    ]
    overlaps = box_ious([defect.box_xyxy for defect in record.truth], boxes)
    return len(match(overlaps, [defect.confidence for defect in found], threshold=MATCH_IOU))
