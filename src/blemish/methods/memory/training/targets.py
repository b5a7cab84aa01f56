"""Where an image is defective, patch by patch, as far as its marks say.

Letters: H, W pixels, h, w patches, P patches in all.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels, Size
from blemish.dataset.ignored import is_ignored
from blemish.dataset.masks import annotation_masks
from blemish.dataset.samples import Sample
from blemish.methods.memory.inference import continued
from blemish.methods.memory.settings import MemorySettings

GOOD, DEFECTIVE, UNKNOWN = 0, 1, -1
# Share of a patch from which it is defective, or half the most that any has: a tenth made outlines too wide.
COVERED = 0.5

Targets = NDArray[np.int8]  # [h, w]


def targets(sample: Sample, size: Size, distances: NDArray[np.float32], settings: MemorySettings) -> Targets:
    """Defective, good or unknown for each patch, [h, w].

    Outlined pixels are defective. In a box the patches farthest from the memory are, the others unknown. An
    image that is marked by a label alone is unknown everywhere, as are crowd and difficult regions.
    size: (H, W); distances: of each patch to the memory, [h, w]
    """
    found = np.zeros(distances.shape, np.int8)
    if any(not mark.has_place for mark in sample.annotations):
        found[:] = UNKNOWN
    for mark in sample.annotations:
        if mark.box_xyxy is not None and not mark.has_outline:
            inside = covered(box_mask(mark.box_xyxy, size), distances.shape, settings)
            found[inside] = UNKNOWN
            if not is_ignored(mark):
                limit = np.quantile(distances[inside], 1 - settings.box_share)
                found[inside & (distances >= limit)] = DEFECTIVE
    for mark, mask in annotation_masks(sample, size):
        found[covered(mask, distances.shape, settings)] = UNKNOWN if is_ignored(mark) else DEFECTIVE
    return found


def box_mask(box_xyxy: Sequence[float], size: Size) -> NDArray[np.bool_]:
    """Pixels [H, W] that a box touches, at least one."""
    height, width = size
    left, top = (
        min(max(0, int(edge)), side - 1) for edge, side in zip(box_xyxy[:2], (width, height), strict=True)
    )
    right, bottom = max(left + 1, int(np.ceil(box_xyxy[2]))), max(top + 1, int(np.ceil(box_xyxy[3])))
    mask = np.zeros(size, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def covered(mask: NDArray[np.bool_], places: tuple[int, ...], settings: MemorySettings) -> NDArray[np.bool_]:
    """Patches [h, w] that a mask [H, W] covers enough of; of a mask that is not empty at least one."""
    pixels: Pixels = mask.astype(np.uint8)
    whole = continued(pixels, settings.multiple) if settings.size is None else pixels
    shares = cv2.resize(whole.astype(np.float32), (places[1], places[0]), interpolation=cv2.INTER_AREA)
    return (shares > 0) & (shares >= min(COVERED, 0.5 * float(shares.max())))
