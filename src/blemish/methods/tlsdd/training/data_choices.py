"""Settings that are left to the data: which classes are rare, the size of images, the sizes of anchors.

All follow from the training boxes and are told in a line; the bundle remembers them as plain values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from blemish.arrays import Floats
from blemish.bundle.store import Bundle
from blemish.images.resize import with_shorter_side
from blemish.methods.tlsdd.data.training_images import AnnotatedImage
from blemish.methods.tlsdd.runtime.anchors import map_strides
from blemish.methods.tlsdd.settings import TlsddSettings

SMALLER, LARGER = 5, 95  # percentiles of the boxes' sizes
LEAST_RATIO = 4.0  # of the largest anchor to the smallest


def with_data_choices(
    settings: TlsddSettings,
    class_names: Sequence[str],
    images: Sequence[AnnotatedImage],
    start: Bundle | None,
) -> tuple[TlsddSettings, list[str]]:
    """Settings without "auto", and a line on each choice. images: of the training split"""
    chosen, lines = chosen_classes(settings, class_names, images, start)
    settings = settings.model_copy(update=chosen)
    named = {*settings.common, *settings.rare} or {*class_names}
    size, more = chosen_size(settings, images, named)
    lines += more
    settings = settings.model_copy(update={"size": size})
    return settings.model_copy(update={"anchor_sizes": chosen_anchors(settings, images, named)}), lines


def chosen_classes(
    settings: TlsddSettings,
    class_names: Sequence[str],
    images: Sequence[AnnotatedImage],
    start: Bundle | None,
) -> tuple[dict[str, Any], list[str]]:
    """Settings `common`, `rare` and `fine_tune_boxes`, and lines on what they are."""
    counts = Counter(box.label for image in images for box in image.boxes)
    boxed = [name for name in class_names if counts[name]]
    if start is not None:
        if settings.rare != "auto":
            return {}, []
        known = start.manifest.class_names
        rare = tuple(name for name in boxed if name not in known)
        said = [f"Rare classes, as {start.path} does not have them: {', '.join(rare)}."] if rare else []
        return {"rare": rare}, said
    if settings.common:
        return {"rare": () if settings.rare == "auto" else settings.rare}, []
    given = () if settings.rare == "auto" else settings.rare
    plenty = tuple(name for name in boxed if counts[name] >= settings.rare_below)
    automatic = settings.rare == "auto" and settings.two_phase and 0 < len(plenty) < len(boxed)
    rare = tuple(name for name in boxed if name not in plenty) if automatic else given
    common = tuple(name for name in boxed if name not in rare)
    missing = [name for name in class_names if not counts[name] and name not in given]
    lines = [f"Not learned, as split 'train' has no box of them: {', '.join(missing)}."] if missing else []
    if not automatic and settings.rare == "auto" and settings.two_phase:
        which = "none has" if plenty else "each has"
        lines.append(
            f"No class is rare, as {which} fewer than {settings.rare_below} training boxes: all are learned "
            "in one phase. Set rare to choose some."
        )
    if not automatic:
        return {"common": common, "rare": rare}, lines
    shown = ", ".join(f"{name} ({counts[name]})" for name in rare)
    lines.append(
        f"Rare classes, with fewer than {settings.rare_below} training boxes: {shown}. "
        f"Common: {', '.join(common)}. Set rare to choose others, or to [] to learn all alike."
    )
    boxes = settings.fine_tune_boxes or max(counts[name] for name in rare)
    return {"common": common, "rare": rare, "fine_tune_boxes": boxes}, lines


def chosen_size(
    settings: TlsddSettings, images: Sequence[AnnotatedImage], names: set[str]
) -> tuple[int | None, list[str]]:
    """Setting `size`, and a line where images are reduced."""
    if settings.size != "auto":
        return settings.size, []
    shorter = max((min(image.size) for image in images), default=0)
    sides = box_sides(settings, images, names)
    if shorter <= settings.kept_side or not len(sides):
        return None, []
    middle = float(np.median(sides))
    size = max(settings.kept_side, round(shorter * min(1.0, settings.kept_box / middle)))
    if size >= shorter:
        return None, []
    return size, [
        f"Images are brought to a shorter side of {size} pixels; of the largest, of {shorter}, half of the "
        f"boxes then measure {middle * size / shorter:.0f} or more. Set size to choose another, or to null "
        "to leave images as they are."
    ]


def chosen_anchors(
    settings: TlsddSettings, images: Sequence[AnnotatedImage], names: set[str]
) -> tuple[int, ...]:
    """Setting `anchor_sizes`: evenly spread in their logarithms over the sizes of the boxes."""
    if settings.anchor_sizes != "auto":
        return settings.anchor_sizes
    maps = len(map_strides(settings))
    sides = box_sides(settings, images, names)
    if not len(sides):
        return ()
    low, high = np.percentile(sides, (SMALLER, LARGER))
    middle, ratio = np.sqrt(low * high), max(float(high / low), LEAST_RATIO)
    count = 2 * maps if maps > 1 else 5
    spread = np.geomspace(middle / ratio**0.5, middle * ratio**0.5, count)
    return tuple(max(1, round(float(side))) for side in spread)


def box_sides(settings: TlsddSettings, images: Sequence[AnnotatedImage], names: set[str]) -> Floats:
    """Square roots of the areas of the named classes' boxes, in pixels of the network's input."""
    sides = []
    for image in images:
        height, width = with_shorter_side(image.size, settings.shorter_side)
        scale = np.sqrt(height * width / (image.size[0] * image.size[1]))
        for box in image.boxes:
            if box.label in names:
                left, top, right, bottom = box.box_xyxy
                sides.append(scale * np.sqrt((right - left) * (bottom - top)))
    return np.array(sides, np.float32)
