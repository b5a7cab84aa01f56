"""The truth as the networks are taught it: its values, and which pixels a defect keeps at another scale."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BACKGROUND, DEFECT, IGNORED = 0, 1, -1  # IGNORED: beyond the image


def kept(coverage: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels that a defect covers half as much as the one it covers most, or more.

    For defects larger than a pixel that is half of it; smaller ones keep their place and do not vanish,
    unless they touch the pixels of a larger one and count as part of it.
    coverage: [H, W], at least 0, the share of each pixel that is marked, in any unit
    """
    count, regions = cv2.connectedComponents((coverage > 0).view(np.uint8), connectivity=8)
    covered = regions > 0
    most = np.zeros(count, np.float32)
    np.maximum.at(most, regions[covered], coverage[covered])
    return covered & (coverage >= most[regions] / 2)
